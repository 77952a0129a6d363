#requires -Version 3.0
<#
.SYNOPSIS
    Creates one certificate request, or completes it, on the computer that has the key. Run it with -WhatIf first.
.DESCRIPTION
    Each step is checked, performed, and checked again. A second run skips the steps that are done. The script
    contains no passwords and no private keys. Exit status: 0 done, 1 stopped.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param()

Set-StrictMode -Version 1
$ErrorActionPreference = 'Stop'
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }
$Look = [bool]$WhatIfPreference
$WhatIfPreference = $false

#LYNCNB-VALUES

function Stop-Run([string] $What) {
    Write-Host ('STOPPED. ' + $What + '. Correct the problem, then run this script again.')
    exit 1
}
function Find-Wrong([string[]] $Names) {
    # Returns the first check that is not true. An error in a check is never an answer: it ends the run.
    foreach ($name in $Names) {
        $text = $Checks[$name].Text
        try { $answer = & $Checks[$name].Ask }
        catch { Stop-Run ('The script cannot determine whether ' + $text + '. Found: ' + $_.Exception.Message) }
        if (-not $answer) { return 'this is not true: ' + $text }
    }
}

if (-not ((whoami.exe /groups) -match 'S-1-16-(12288|16384)')) { Stop-Run 'This PowerShell session is not elevated' }
$tcpip = Get-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters'
$ComputerName = (@($tcpip.Hostname, $tcpip.Domain) | Where-Object { $_ }) -join '.'
$would = $false
try {
    foreach ($module in $Modules) { Import-Module -Name $module }
    foreach ($step in @($Steps | Where-Object { -not (Find-Wrong $_.OnlyIf) })) {
        $title = $step.Number + '. ' + $step.Title
        $done = $step.Holds -and -not (Find-Wrong $step.Holds)
        $wrong = $(if (-not $done) { Find-Wrong $step.Needs })
        if ($wrong -and -not $would) { Stop-Run ($title + '. The script did not perform it, because ' + $wrong) }
        $state = $(if ($done) { 'already done' } elseif ($Look) { 'would be done' } else { 'running' })
        Write-Host ($state.PadRight(15) + $title)
        $would = $would -or $state -eq 'would be done'
        if ($state -ne 'running') { continue }
        if (-not $PSCmdlet.ShouldProcess($ComputerName, $title)) { Stop-Run 'You answered No' }
        & $step.Commands
        $wrong = Find-Wrong $step.Holds
        if ($wrong) { Stop-Run ($title + '. The commands of this step ended, but ' + $wrong) }
    }
    Write-Host $(if ($Look) { 'Nothing was changed.' } else { 'done' })
    exit 0
}
catch { Stop-Run ('A command failed: ' + $_.Exception.Message) }
