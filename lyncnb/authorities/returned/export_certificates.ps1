#requires -Version 3.0
# Exports the certificates in this computer's own store for lyncnb, and what Lync Server uses each
# of them for. Public halves only: no private key is opened. Reads; changes nothing.
# Run it in the Lync Server Management Shell (or Skype for Business Server's) of each server, Edge
# Servers too; in a plain PowerShell where there is none, e.g. on a reverse proxy. Then hand all
# files to lyncnb, e.g. lyncnb asis certificates-*.pem topology.csv
$ErrorActionPreference = 'Stop'
$network = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
$names = @($network.HostName, $network.DomainName) | Where-Object { $_ }
$computer = ($names -join '.').ToLowerInvariant()
$name = 'certificates-' + $computer + '.pem'
$file = Join-Path -Path (Get-Location).ProviderPath -ChildPath $name
if (Test-Path -LiteralPath $file) { throw "$file is there already: move it away first" }

$lines = New-Object -TypeName 'System.Collections.Generic.List[string]'
$lines.Add('lyncnb certificate export 1')
$lines.Add("Computer: $computer")
$lines.Add('Time: ' + [datetime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [System.Globalization.CultureInfo]::InvariantCulture))

$own = @(Get-ChildItem -Path 'Cert:\LocalMachine\My')
$types = @{}
$hasLync = [bool](Get-Command -Name 'Get-CsCertificate' -ErrorAction SilentlyContinue)
if ($hasLync) {
    $lines.Add('Lync: yes')
    $stored = @($own | ForEach-Object { $_.Thumbprint })
    foreach ($assigned in Get-CsCertificate) {
        $thumbprint = [string]$assigned.Thumbprint
        # Use is shown in two forms, "Default" and "urn:certref:Default".
        $type = ([string]$assigned.Use) -replace '^urn:certref:', ''
        if ($stored -notcontains $thumbprint) { $lines.Add("Not in the store: $type $thumbprint") }
        if (-not $types.ContainsKey($thumbprint)) { $types[$thumbprint] = @() }
        $types[$thumbprint] += $type
    }
}
else {
    $lines.Add('Lync: no')
}

# Of the CAs' certificates only those above a certificate of this computer.
$authorities = @(Get-ChildItem -Path 'Cert:\LocalMachine\CA', 'Cert:\LocalMachine\Root')
$above = New-Object -TypeName 'System.Collections.Generic.List[object]'
$seen = @{}
$level = $own
while ($level.Count -gt 0) {
    $issuers = @($level | ForEach-Object { $_.Issuer })
    $level = @($authorities | Where-Object { $issuers -contains $_.Subject } |
            Where-Object { -not $seen.ContainsKey($_.Thumbprint) })
    foreach ($one in $level) {
        if (-not $seen.ContainsKey($one.Thumbprint)) {
            $seen[$one.Thumbprint] = $true
            $above.Add($one)
        }
    }
}

foreach ($one in $own) {
    $lines.Add('')
    $lines.Add('Store: My')
    if ($one.HasPrivateKey) { $lines.Add('Key: yes') } else { $lines.Add('Key: no') }
    if ($types.ContainsKey($one.Thumbprint)) {
        foreach ($type in $types[$one.Thumbprint]) { $lines.Add("Type: $type") }
    }
    $lines.Add('-----BEGIN CERTIFICATE-----')
    $lines.Add([System.Convert]::ToBase64String($one.RawData))
    $lines.Add('-----END CERTIFICATE-----')
}
foreach ($one in $above) {
    $lines.Add('')
    $lines.Add('Store: CA')
    $lines.Add('-----BEGIN CERTIFICATE-----')
    $lines.Add([System.Convert]::ToBase64String($one.RawData))
    $lines.Add('-----END CERTIFICATE-----')
}
[System.IO.File]::WriteAllLines($file, $lines.ToArray())
Write-Output "written: $file"
