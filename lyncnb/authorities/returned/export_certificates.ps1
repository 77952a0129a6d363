#requires -Version 3.0
# This script exports the certificates in the Personal store of this computer for lyncnb, and shows
# which services of Lync Server use each certificate. It does not export private keys and changes nothing.
# Run it on each server, including Edge Servers, in the Lync Server Management Shell or the Skype for
# Business Server Management Shell. On other computers, for example a reverse proxy, use Windows PowerShell.
# Then import all files into lyncnb, for example lyncnb asis certificates-*.pem topology.csv
$ErrorActionPreference = 'Stop'
$network = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
$names = @($network.HostName, $network.DomainName) | Where-Object { $_ }
$computer = ($names -join '.').ToLowerInvariant()
$name = 'certificates-' + $computer + '.pem'
$file = Join-Path -Path (Get-Location).ProviderPath -ChildPath $name
if (Test-Path -LiteralPath $file) { throw "$file already exists. Move or rename the file first." }

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
        # The property Use has two forms, "Default" and "urn:certref:Default".
        $type = ([string]$assigned.Use) -replace '^urn:certref:', ''
        if ($stored -notcontains $thumbprint) { $lines.Add("Not in the store: $type $thumbprint") }
        if (-not $types.ContainsKey($thumbprint)) { $types[$thumbprint] = @() }
        $types[$thumbprint] += $type
    }
}
else {
    $lines.Add('Lync: no')
}

# Export only the CA certificates that are in the chain of a certificate of this computer.
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
Write-Output "Certificates exported to $file"
