#requires -Version 3.0
<#
.SYNOPSIS
    Installs the certificates of one server, as its sheet describes. Run it with -WhatIf first.
.DESCRIPTION
    The values and the steps of the server, without passwords and keys. lyncnb.ps1 beside it runs them. Without
    a switch, it performs everything but the start of the services. On a server in use, it only prepares.
.PARAMETER Verify
    Changes nothing. Prints the results of the checks, with the failed checks first.
.PARAMETER Report
    With -Verify: also writes a file for lyncnb deployed. It contains nothing secret.
.PARAMETER Back
    Restores the certificates and settings that were in use before this change, as recorded.
.PARAMETER RemoveGlobal
    With -Back: also removes a certificate of the whole deployment, if none was in use there before.
.PARAMETER TrustOnly
    Performs only the steps that establish trust.
.PARAMETER TrustInstalled
    Confirms that all other servers trust the CAs of the new certificates.
.PARAMETER Prepare
    Imports, checks, and stages. It stops no service, and assigns nothing that services read at their start.
.PARAMETER DrainServices
    Waits until calls and meetings end, then stops the services. One server of a pool at a time.
.PARAMETER StartServices
    Starts the services. Without -DrainServices, it only starts them, and performs no other step.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [switch] $Verify, [string] $Report,
    [switch] $Back, [switch] $RemoveGlobal,
    [switch] $TrustOnly, [switch] $TrustInstalled, [switch] $Prepare,
    [switch] $DrainServices, [switch] $StartServices
)

# Version 1: the tables below leave out what is empty.
Set-StrictMode -Version 1
$ErrorActionPreference = 'Stop'
# Functions in modules do not inherit the preference above. This line applies to them, too.
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }
# -WhatIf and -Confirm apply to the steps of this script, not to commands that only read.
$Look = [bool]$WhatIfPreference
$WhatIfPreference = $false
$ConfirmPreference = 'High'

#LYNCNB-VALUES

# Programs come from Windows, and not from another folder that PATH names first.
$env:PATH = [Environment]::SystemDirectory + [IO.Path]::PathSeparator + $env:PATH

# The right computer, an administrator, and the 64-bit PowerShell, where the modules are.
$Tcpip = Get-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters'
$ComputerName = (@($Tcpip.Hostname, $Tcpip.Domain) | Where-Object { $_ }) -join '.'
$Stop = ''
if ($ComputerName -ne $Server) { $Stop = 'This computer is ' + $ComputerName + '. The script is for ' + $Server }
# The name of the group "High Mandatory Level" depends on the Windows language. Its SID does not.
elseif (-not ((whoami.exe /groups) -match 'S-1-16-(12288|16384)')) { $Stop = 'This PowerShell session is not elevated' }
elseif ($env:PROCESSOR_ARCHITEW6432) { $Stop = 'This is the 32-bit PowerShell' }

# lyncnb.ps1 must be the file that this script was written with. A signature at its end does not count.
$Common = Join-Path -Path $PSScriptRoot -ChildPath 'lyncnb.ps1'
$Parts = @()
$Mark = '# SIG # Begin signature block'
if (Test-Path -LiteralPath $Common) { $Parts = [IO.File]::ReadAllText($Common) -split $Mark, 2 }
$Text = '' + ($Parts | Select-Object -First 1)
$Bytes = [Text.Encoding]::UTF8.GetBytes($Text.TrimEnd())
$Digest = [BitConverter]::ToString((New-Object Security.Cryptography.SHA256Managed).ComputeHash($Bytes)) -replace '-'
$Lines = @($Parts | Select-Object -Skip 1 | ForEach-Object { $_ -split '[\r\n]+' })
$Foreign = @($Lines | Where-Object { $_ -and $_ -notmatch '^#' })
if ($Digest -ne $CommonSha256 -or $Foreign) { $Stop = $Common + ' is missing, or is not the file for this script' }
if ($Stop) {
    Write-Host ('STOPPED. Nothing was changed. ' + $Stop + '.')
    exit 1
}
# The text with that hash runs, and not the file, which somebody may have changed since. What stands behind
# the text never runs. The exit status of the text is that of the process.
. ([scriptblock]::Create($Text))
