#requires -Version 3.0
<#
.SYNOPSIS
    Takes the steps of the certificate checklist on this computer.
.DESCRIPTION
    Run it where the checklist says, in an elevated PowerShell. Run it with -WhatIf first: it says what
    it would do and changes nothing. Each step is looked at, done, and looked at again; what is done
    already is left alone, so run again it goes on where it stopped. It stops at the first thing
    that is not as it should be. It holds no password and no key; it asks for each password.
.PARAMETER Verify
    Changes nothing: shows one table of what this server has and what it should have.
.PARAMETER Back
    Undoes the assignments: puts back what was in use before the first run.
.PARAMETER DrainServices
    Where another certificate is in use: lets calls and meetings end and stops the services before
    anything is assigned. Give it together with -StartServices, on one server of a pool at a time.
.PARAMETER StartServices
    Starts the services when everything is assigned.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [switch] $Verify,
    [switch] $Back,
    [switch] $DrainServices,
    [switch] $StartServices
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# ---- what this script was made for; public values, and the commands of the checklist
#LYNCNB-VALUES

# What a step waits to be asked for, by the switch that asks for it.
$Asked = @{ 'DrainServices' = $DrainServices; 'StartServices' = $StartServices }

function Write-Step {
    param([string] $Text)
    Write-Host ('* ' + $Text)
}

function Stop-Here {
    param([string] $What, [string] $Hint)
    throw ($What + [Environment]::NewLine + 'What to do: ' + $Hint)
}

function Assert-Place {
    # The package of another server would import, and every client would refuse it. A script that
    # names no server may run on any.
    $properties = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    $name = $properties.HostName
    if ($properties.DomainName) {
        $name = $name + '.' + $properties.DomainName
    }
    if ($Server -and $name -ne $Server) {
        Stop-Here ('This computer is ' + $name + ', the script is for ' + $Server + '.') 'Run the script of this server. On a server outside the domain, set the primary DNS suffix first.'
    }
    $principal = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Here 'This PowerShell is not elevated.' 'Open PowerShell with Run as administrator.'
    }
}

function Test-Question {
    # A question that cannot be answered counts as answered with no.
    param([hashtable] $Question)
    try {
        return [bool](& $Question.Command | Select-Object -Last 1)
    }
    catch {
        return $false
    }
}

function Find-Wrong {
    param([object[]] $Questions)
    foreach ($question in $Questions) {
        if (-not (Test-Question $question)) {
            return $question
        }
    }
    return $null
}

function Get-Shown {
    param([hashtable] $Question)
    if (-not $Question.Shows) {
        return ''
    }
    try {
        return ((& $Question.Shows | ForEach-Object { [string]$_ }) -join '; ').Trim()
    }
    catch {
        return $_.Exception.Message
    }
}

function Show-Commands {
    param([hashtable] $Step)
    foreach ($line in ([string]$Step.Commands -split "`n")) {
        if ($line.Trim()) {
            Write-Host ('    ' + $line.Trim())
        }
    }
}

function Invoke-Step {
    param([hashtable] $Step)
    if (Find-Wrong $Step.OnlyIf) {
        return
    }
    if ($Step.Holds.Count -gt 0 -and -not (Find-Wrong $Step.Holds)) {
        Write-Step ('already so: ' + $Step.Title)
        return
    }
    if ($Step.ByHand) {
        Write-Step ('by hand: ' + $Step.Title)
        Show-Commands $Step
        if ($Step.Holds.Count -gt 0 -and -not $WhatIfPreference) {
            $open = Find-Wrong $Step.Holds
            Stop-Here ('Not so yet: ' + $open.Text + '.') 'Do this step by hand as the checklist says, then run this script again.'
        }
        return
    }
    if ($Step.WhenAsked -and -not $Asked[$Step.WhenAsked]) {
        Write-Step ('not asked for, see -' + $Step.WhenAsked + ': ' + $Step.Title)
        return
    }
    $wrong = Find-Wrong $Step.Needs
    if ($wrong -and -not $WhatIfPreference) {
        Stop-Here ('Before this step (' + $Step.Title + ') it must be so: ' + $wrong.Text + '. There is: ' + (Get-Shown $wrong)) 'Read this step in the checklist; nothing was changed by it.'
    }
    if (-not $PSCmdlet.ShouldProcess($env:COMPUTERNAME, $Step.Title + ': ' + ([string]$Step.Commands).Trim())) {
        return
    }
    Write-Step $Step.Title
    # Not through a pipe: a command that asks for a password would not show its question.
    & $Step.Commands
    $wrong = Find-Wrong $Step.Holds
    if ($wrong) {
        Stop-Here ('After this step (' + $Step.Title + ') it is not so: ' + $wrong.Text + '. There is: ' + (Get-Shown $wrong)) 'Read this step in the checklist before you run anything again.'
    }
}

function Show-State {
    foreach ($step in $Steps) {
        if (Find-Wrong $step.OnlyIf) {
            continue
        }
        foreach ($question in $step.Holds) {
            New-Object PSObject -Property @{
                'Right' = $(if (Test-Question $question) { 'yes' } else { 'NO' })
                'Should be' = $question.Text
                'There is' = Get-Shown $question
            }
        }
    }
}

Assert-Place
foreach ($module in $Modules) {
    Import-Module $module
}
if ($Verify) {
    Show-State | Format-Table -AutoSize -Wrap -Property 'Right', 'Should be', 'There is'
    return
}
$chosen = $Steps
if ($Back) {
    $chosen = $BackSteps
}
foreach ($step in $chosen) {
    Invoke-Step $step
}
Write-Step 'Done. Run this script with -Verify to see what this server has now.'
