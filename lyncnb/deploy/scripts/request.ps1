#requires -Version 3.0
<#
.SYNOPSIS
    Requests the planned certificates on this server itself, with the planned names.
.DESCRIPTION
    For sites whose keys must be born on the server. Needs the Lync administrative tools and a
    published topology. Writes one request file for each certificate into OutputFolder; send it to
    the CA, then import the answer on this same computer: the key is here.
.PARAMETER OutputFolder
    Where the request files go. The folder of this script if left out.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [string] $OutputFolder
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
if (-not $OutputFolder) {
    $OutputFolder = Split-Path -Parent $MyInvocation.MyCommand.Definition
}

# ---- what this script was made for; public values only
#LYNCNB-VALUES

Import-Module Lync
foreach ($request in $Requests) {
    $path = Join-Path $OutputFolder $request.File
    if (Test-Path -LiteralPath $path) {
        Write-Host ('* already requested: ' + $path)
        continue
    }
    $arguments = @{
        'New' = $true
        'Type' = $request.Types
        'ComputerFqdn' = $Server
        'FriendlyName' = $request.FriendlyName
        'KeySize' = $request.KeySize
        'PrivateKeyExportable' = $true
        'DomainName' = $request.DomainName
        'Output' = $path
    }
    if ($request.ClientEku) {
        $arguments['ClientEku'] = $true
    }
    if ($PSCmdlet.ShouldProcess($path, 'Request ' + ($request.Types -join ', '))) {
        Request-CsCertificate @arguments
        Write-Host ('* requested: ' + $path)
    }
}
