#requires -Version 3.0
<#
.SYNOPSIS
    Runs the steps of the certificate checklist on this computer.
.DESCRIPTION
    First run the script with -WhatIf: it then prints one line for each step and changes nothing. The
    script checks each step, performs it, and checks it again. It skips steps that are already done, so
    a second run continues where the first run stopped. A check returns 'yes', 'no', or 'cannot tell'.
    If the script cannot tell whether it should perform a step, it stops before it changes anything.
    The script contains no passwords and no private keys.

    Exit status: 0 everything is done, 1 the script stopped (with -Verify: not every check returned
    'yes'), 2 something is left for later.

    The script keeps three kinds of files for this change in the folder with the packages: the record
    of what was in use before (before-...), the actions of the script with their times (events-...), and
    the output of each run (run-...).
.PARAMETER Verify
    Changes nothing. Prints the results of the checks on this server, with the failed checks first.
.PARAMETER Report
    With -Verify: also writes a file for lyncnb deployed. The file contains the server name, the time in
    UTC, and the thumbprint of the certificate in use at each place. It contains nothing secret.
.PARAMETER Back
    Rolls back: restores the certificates and settings that were in use before this change, as recorded.
.PARAMETER TrustOnly
    Performs only the steps that establish trust. Run the script with this switch on every server before
    you assign a certificate on any of them.
.PARAMETER TrustInstalled
    Confirms that all other servers trust the CAs of the new certificates. While services are running,
    the script assigns certificates only with this switch.
.PARAMETER DrainServices
    If the services must load a different certificate: waits until calls and meetings end, then stops
    the services. Use this switch together with -StartServices, on one server of a pool at a time.
.PARAMETER StartServices
    Starts the services that were running before. On a new server, starts all services. If this change
    stopped services, this switch without -DrainServices starts them and performs no other step.
.PARAMETER RemoveGlobal
    With -Back: also removes a certificate that is assigned to the whole deployment, if no certificate
    was in use there before this change.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [switch] $Verify,
    [string] $Report,
    [switch] $Back,
    [switch] $TrustOnly,
    [switch] $TrustInstalled,
    [switch] $DrainServices,
    [switch] $StartServices,
    [switch] $RemoveGlobal
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
# Functions in modules do not inherit the preference above. This line applies to them, too.
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }
# -WhatIf and -Confirm apply to the steps of this script, not to commands that only read.
$Look = [bool]$WhatIfPreference
$WhatIfPreference = $false
$ConfirmPreference = 'High'
# Regional settings change how a time or number is written and sorted. This script writes them in one way.
$Thread = [Threading.Thread]::CurrentThread
$Culture = $Thread.CurrentCulture
$Thread.CurrentCulture = [Globalization.CultureInfo]::InvariantCulture

# ---- the values and checklist commands for this computer; nothing here is secret
#LYNCNB-VALUES

# ---- the rest of the script is the same on every computer
$Asked = @{ 'DrainServices' = $DrainServices; 'StartServices' = $StartServices; 'TrustInstalled' = $TrustInstalled }
$Record = $Folder + '\before-' + $Change + '.csv'
$Events = $Folder + '\events-' + $Change + '.txt'
$Nothing = '(nothing)'
$NotKnown = '(not known)'
$Found = ''       # the actual state that the last check found
$Changed = @()    # the steps that this run has started or performed
$Left = @()       # the items that this run leaves for later
$Doubts = @()     # steps whose result could not be confirmed; checked again at the end
$Would = @{}      # with -WhatIf: checks that would now be true, and the step that makes each one true
$Undone = @{}     # with -WhatIf: checks that would no longer be true, and the step that makes each one false
$Current = $null  # the step that is in progress
$Ended = $false

function Write-Line {
    # Wraps the text at the width of the window, and indents continuation lines by the label's width.
    param([string] $Text, [string] $Label = '')
    try { $width = [Math]::Max(60, $Host.UI.RawUI.WindowSize.Width) } catch { $width = 80 }
    $line = $Label
    foreach ($word in ($Text -split '\s+' | Where-Object { $_ })) {
        if ($line.Length -gt $Label.Length -and ($line.Length + $word.Length) -ge $width) {
            Write-Host $line.TrimEnd()
            $line = ' ' * $Label.Length
        }
        $line += $word + ' '
    }
    Write-Host $line.TrimEnd()
}

function Write-Step {
    param([string] $State, [string] $After = '', [string] $Detail = '')
    Write-Line ($Current.Name + $After) $State.PadRight(15)
    if ($Detail) { Write-Line $Detail (' ' * 15) }
}

function Write-List {
    param([string] $Heading, [object[]] $Lines)
    if (@($Lines).Count -gt 0) { Write-Line $Heading }
    foreach ($line in $Lines) { Write-Line $line '  - ' }
}

function Stop-Run {
    # Ends every run: prints what happened, what this run changed, which services are stopped, and what
    # to do next. With -WhatIf, only reports that the current step would stop the run.
    param([string] $What, [string] $Do, [int] $Status = 1)
    $script:Ended = $true
    if ($What) { $What = $What.Substring(0, 1).ToUpper() + $What.Substring(1) }
    if ($What -and $Look -and $Current) { return (Write-Step 'WOULD STOP' '' ($What + (Get-Evidence) + ' ' + $Do)) }
    Write-Host ''
    if ($What) {
        Write-Line ('STOPPED' + $(if ($Current) { ' at step ' + $Current.Name }))
        Write-Line ($What + '.') '  '
        if ($Found) { Write-Line $Found '  Found: ' }
        Write-List 'This run changed:' $(if (@($Changed).Count) { $Changed } else { 'nothing' })
    }
    Write-List 'Left for later:' $Left
    $stopped = @()
    try {
        $stopped = @(Get-StoppedByChange)
        Write-List 'These services were not running before this change, and the script does not start them:' @(Get-StoppedBefore)
    }
    catch { Write-Line ('The script cannot determine which services are running: ' + $_.Exception.Message) }
    if ($stopped.Count -gt 0) {
        Write-List 'THESE SERVICES ARE STOPPED because of this change:' $stopped
        Write-Line 'To start these services, run this script with -StartServices alone. It then performs no other step.'
        $Status = [Math]::Max($Status, 1 + [int](-not $What))
    }
    if ($Do -and ($What -or -not $stopped.Count)) { Write-Line ('What to do next: ' + $Do) }
    try { Stop-Transcript | Out-Null } catch { $null = $_ }
    exit $Status
}

# ---- checks

function Read-Answer {
    # Returns 'yes', 'no', or 'cannot tell'. An error in a check is never a 'no'. Sets $Found to the
    # actual state.
    param([hashtable] $Check)
    $script:Found = ''
    try {
        $answer = @(& $Check.Ask)
        if ($answer.Count -ne 1 -or $answer[0] -isnot [bool]) { throw 'the check returned neither true nor false.' }
        if ($answer[0]) { return 'yes' }
    }
    catch {
        $script:Found = $_.Exception.Message
        return 'cannot tell'
    }
    if ($Check['Shows']) {
        $script:Found = $(try { @(& $Check.Shows) -join '; ' -replace '\s+', ' ' } catch { $_.Exception.Message })
        if (-not $Found.Trim()) { $script:Found = 'nothing' }
    }
    return 'no'
}

function Find-Wrong {
    # Returns the first check whose answer is not 'yes', with a message. With -WhatIf, assumes that earlier
    # steps of the run succeeded. A check that depends on one of these steps has the answer 'later'.
    param([hashtable] $Step, [string] $Kind)
    $later = $null
    foreach ($check in $Step[$Kind]) {
        if ($Would.ContainsKey($check.Text)) { continue }
        if ($check['After'] -and $Would.ContainsKey($check.After)) {
            $later = @{ 'Check' = $check; 'Answer' = 'later'; 'Says' = 'can be checked after step ' + $Would[$check.After] }
            continue
        }
        $ends = $check.Text, [string]$check['After'] | Where-Object { $Undone.ContainsKey($_) } | Select-Object -First 1
        $answer = $(if ($ends) { 'no' } else { Read-Answer $check })
        if ($answer -eq 'yes') { continue }
        if ($ends) { $script:Found = 'step ' + $Undone[$ends] + ' stops the services' }
        $says = $(if ($answer -eq 'no') { 'this is not true: ' } else { 'the script cannot determine whether ' })
        return @{ 'Check' = $check; 'Answer' = $answer; 'Says' = $says + $check.Text }
    }
    if ($Kind -in 'OnlyIf', 'Holds') { return $later }
}

function Add-Would {
    # With -WhatIf: treats a step as performed. After a drain, the checks of the start step are false.
    param([hashtable] $Step)
    foreach ($check in $Step['Holds']) { $Would[$check.Text] = $Step.Number }
    if ($Step['Does'] -ne 'drain') { return }
    foreach ($start in @($chosen | Where-Object { $_['Does'] -eq 'start' })) {
        foreach ($check in $start['Holds']) { $Undone[$check.Text] = $Step.Number }
    }
}

function Get-Evidence { if ($Found) { '. Found: ' + $Found } else { '.' } }
function Get-Utc { param([datetime] $Time) $Time.ToUniversalTime().ToString('yyyy-MM-dd HH:mm') + ' UTC' }

function Test-Key {
    # Opens the private key, because a key that is linked to the certificate may still be unusable.
    # .NET Framework before 4.6 cannot open a key in a Key Storage Provider: the result is 'cannot tell'.
    param([string] $Path)
    if (-not (Test-Path -LiteralPath $Path)) { return $false }
    $certificate = Get-Item -LiteralPath $Path
    if (-not $certificate.HasPrivateKey) { return $false }
    try { return ($null -ne $certificate.PrivateKey) } catch { $reason = $_.Exception.Message }
    foreach ($kind in 'RSA', 'ECDsa') {
        $type = ('Security.Cryptography.X509Certificates.' + $kind + 'CertificateExtensions') -as [type]
        $method = 'Get' + $kind + 'PrivateKey'
        if ($type -and $type::$method($certificate)) { return $true }
    }
    throw $reason
}

# ---- services, with the names that the product's own command returns

function Get-Services { if ($ServiceList) { & $ServiceList | ForEach-Object { @{ 'Name' = [string]$_.Name; 'Status' = [string]$_.Status } } } }
function Get-Settings { param([string] $Name) Get-CimInstance -ClassName Win32_Service -Filter ("Name='" + $Name + "'") }
function Get-Running { Get-Services | Where-Object { $_.Status -ne 'Stopped' } | ForEach-Object { $_.Name } }
# $Ignored: services that run without a certificate, also on a new server. They say nothing about the product.
function Get-InService { Get-Running | Where-Object { $Ignored -notcontains $_ } }
function Test-ServicesStopped { @(Get-InService).Count -eq 0 }
function Test-ServicesRun { @(Get-NotRunning).Count -eq 0 }
function Test-ServicesLoaded { @(Get-Stale).Count -eq 0 }
function Test-Drained { @(Get-Event 'drain|started' | Select-Object -Last 1 | Where-Object { $_.What -eq 'drain' }).Count -eq 1 }
function Get-StoppedByChange { if (Test-Drained) { Get-NotRunning } }
function Get-StoppedBefore {
    $expected = @(Get-Expected)
    Get-Services | Where-Object { $expected -notcontains $_.Name -and $_.Status -ne 'Running' -and (Get-Settings $_.Name).StartMode -ne 'Disabled' } | ForEach-Object { $_.Name }
}
# A failover disables the services that were running. Only a failback enables them again.
function Test-FailedOver { @(Get-Expected | Where-Object { (Get-Settings $_).StartMode -eq 'Disabled' }).Count -gt 0 }

function Get-Previous {
    # Returns the previous values of this server's own places. The certificate of the whole deployment
    # may exist before a new server does.
    $values = $(if (Test-Path -LiteralPath $Record) { Read-Record })
    $Places | Where-Object { -not $_['Global'] -and -not $_['Setting'] } | ForEach-Object { if ($values) { $values[$_.Name] } else { Get-InUse $_ } }
}

function Test-NewServer { @(Get-Previous | Where-Object { $_ -ne $Nothing }).Count -eq 0 }

function Get-Ran {
    # Returns the services that were running when this change began, if the product was in use. Services
    # that also run on a new server do not show that.
    $previous = @(Get-Previous)
    $ran = @(Get-Event 'ran' | Select-Object -Last 1 | ForEach-Object { $_.Rest -split ';' } | Where-Object { $_ })
    $busy = $previous -contains $NotKnown -and @($ran | Where-Object { $Ignored -notcontains $_ }).Count
    if ($busy -or @($previous | Where-Object { $_ -notin $Nothing, $NotKnown }).Count) { $ran }
}

function Get-Expected {
    # Returns the services that should be running: the services that were running when this change began
    # or, on a new server, all services that are not disabled.
    $ran = @(Get-Ran)
    if ($ran.Count -gt 0) { return $ran }
    Get-Services | ForEach-Object { $_.Name } | Where-Object { (Get-Settings $_).StartMode -ne 'Disabled' }
}

function Get-NotRunning {
    $expected = @(Get-Expected)
    Get-Services | Where-Object { $expected -contains $_.Name -and $_.Status -ne 'Running' } | ForEach-Object { $_.Name }
}

function Get-Stale {
    # Returns the services that started before their certificate was assigned, and so still use the
    # previous one. A shared process (svchost) serves the web usages, which do not require a restart.
    if (-not @($Steps | Where-Object { $_['Does'] -eq 'drain' }).Count) { return }
    $assigned = [datetime]::MinValue
    foreach ($place in @($Places | Where-Object { $_['Restart'] })) {
        $value = Get-InUse $place
        $known = Get-Event 'assigned' | Where-Object { $_.Rest -eq ($place.Name + ';' + $value) } | Select-Object -Last 1
        if ($known) { if ($known.Time -gt $assigned) { $assigned = $known.Time } }
        elseif ($value -eq $place.New) { $assigned = [datetime]::MaxValue }
    }
    if ($assigned -eq [datetime]::MinValue) { return }
    foreach ($name in @(Get-InService)) {
        $settings = Get-Settings $name
        if ($settings.ServiceType -eq 'Own Process' -and (Get-Process -Id $settings.ProcessId).StartTime.ToUniversalTime() -lt $assigned) { $name }
    }
}

function Test-RestartAhead {
    # Returns whether a certificate that services read only when they start will change, or has changed
    # since they started.
    foreach ($place in @($Places | Where-Object { $_['Restart'] })) {
        $wanted = $(if ($Back) { (Read-Record)[$place.Name] } else { $place.New })
        if ($wanted -ne $NotKnown -and (Get-InUse $place) -ne $wanted) { return $true }
    }
    return (-not (Test-ServicesLoaded))
}

# ---- places that use a certificate, the record of their previous values, and the events

function Expand-Places {
    # Returns the places on this computer. Some kinds of places, such as bindings, exist several times or
    # not at all. Each of these places has its own key.
    foreach ($place in $Places) {
        $place.Title = $place.Name
        if (-not $place['Each']) { $place; continue }
        foreach ($key in @(& $place.Each | Select-Object -Unique)) {
            $own = $place.Clone()
            $own.Key = [string]$key
            $own.Name = ($place.Title + ' ' + $key).Trim()
            $own
        }
    }
}

function Get-Places { param([string] $Title) $Places | Where-Object { $_.Title -eq $Title } }

function Get-Shown {
    # Returns the thumbprint of the certificate that a server presents, even if it is not valid.
    param([string] $Server, [int] $Port, [string] $Name)
    $anyone = [Net.Security.RemoteCertificateValidationCallback] { $true }
    $client = New-Object Net.Sockets.TcpClient -ArgumentList $Server, $Port
    try {
        $tls = New-Object Net.Security.SslStream -ArgumentList $client.GetStream(), $false, $anyone
        $tls.AuthenticateAsClient($Name)
        return $tls.RemoteCertificate.GetCertHashString()
    }
    finally { $client.Close() }
}

function Get-InUse {
    # Returns the current value of a place: a thumbprint, a name, or $Nothing. If a place shows several
    # certificates other than the new one, exactly one of them must be within its validity period.
    param([hashtable] $Place)
    $values = @(& $Place.Read $Place['Key'] | ForEach-Object { [string]$_ } | Where-Object { $_ } | Select-Object -Unique)
    if ($values.Count -gt 1) { $values = @($values | Where-Object { $_ -ne $Place.New }) }
    if ($values.Count -gt 1) {
        $values = @($values | Where-Object { Test-InDate $_ })
        if ($values.Count -ne 1) { throw ('The script found several certificates for ' + $Place.Name + ' and cannot determine which one is in use.') }
    }
    if ($values.Count -eq 0) { return $Nothing }
    return $values[0]
}

function Test-InDate {
    param([string] $Thumbprint)
    $path = 'Cert:\LocalMachine\My\' + $Thumbprint
    if (-not (Test-Path -LiteralPath $path)) { return $false }
    $certificate = Get-Item -LiteralPath $path
    return ($certificate.NotBefore -le (Get-Date) -and $certificate.NotAfter -gt (Get-Date))
}

function Get-EndLine { param([int] $Rows) '# end: ' + $Rows + ' of ' + $Server }

function Read-Record {
    # Returns the whole record. Throws an error if the record is incomplete, belongs to another server, or
    # has duplicate rows.
    $lines = @(Get-Content -LiteralPath $Record -Encoding UTF8)
    $rows = @($lines | Where-Object { $_ -notmatch '^#' } | ConvertFrom-Csv)
    if ($lines.Count -lt 2 -or $lines[0] -ne '"Place","Value"' -or $lines[-1] -ne (Get-EndLine $rows.Count)) { throw ($Record + ' is not a complete record from this script.') }
    $values = @{}
    foreach ($row in $rows) {
        if ($values.ContainsKey($row.Place)) { throw ($Record + ' has two rows for ' + $row.Place + '.') }
        $values[$row.Place] = $row.Value
    }
    foreach ($place in $Places) {
        # A binding or override that was added later had no certificate when the record was written.
        if (-not $values[$place.Name] -and $place.ContainsKey('Key')) { $values[$place.Name] = $Nothing }
        if (-not $values[$place.Name]) { throw ($Record + ' has no row for ' + $place.Name + '.') }
    }
    return $values
}

function Save-Record {
    # Reads every value twice before it writes anything. The file gets its final name only when complete.
    $rows = foreach ($place in $Places) {
        $value = Get-InUse $place
        if ($value -ne (Get-InUse $place)) { throw ('Two queries returned different results, so the script cannot determine which certificate ' + $place.Name + ' uses.') }
        # If the new certificate is already in use, somebody assigned it manually, and the previous one is
        # not known. A setting that is not a certificate may have had the new value before this change.
        if ($value -eq $place.New -and -not $place['Setting']) { $value = $NotKnown }
        [pscustomobject]@{ 'Place' = $place.Name; 'Value' = $value }
    }
    $running = @(Get-Running) -join ';'
    $lines = @('"Place","Value"') + @($rows | ConvertTo-Csv -NoTypeInformation | Select-Object -Skip 1) + (Get-EndLine @($rows).Count)
    Set-Content -LiteralPath ($Record + '.new') -Value $lines -Encoding UTF8
    Add-Event 'ran' $running
    Move-Item -LiteralPath ($Record + '.new') -Destination $Record -Force
}

function Assert-Record {
    # Checks that each current value is either the recorded value or the new value of this change.
    # Otherwise, the record does not belong to this change.
    $values = Read-Record
    foreach ($place in $Places) {
        $now = Get-InUse $place
        $name = $place.Name + ';' + $now
        if ($now -eq $place.New) {
            if (-not (Get-Event 'assigned' | Where-Object { $_.Rest -eq $name })) { Add-Event 'assigned' $name }
        }
        elseif ($now -ne $values[$place.Name] -and $values[$place.Name] -ne $NotKnown) {
            $script:Found = $place.Name + ' uses ' + $now + ', but the recorded value is ' + $values[$place.Name]
            Stop-Run 'somebody changed an assignment after the record was written' ('Find out who changed the assignment, and why. If the change is correct, rename ' + $Record + ' and run this script again: the script writes a new record.')
        }
    }
}

function Get-Event {
    # Ignores a line without a final period, because it was not written completely.
    param([string] $What)
    if (-not (Test-Path -LiteralPath $Events)) { return }
    foreach ($line in @(Get-Content -LiteralPath $Events -Encoding UTF8)) {
        if ($line -match ('^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (' + $What + ') (.*) \.$')) {
            @{ 'Time' = ([datetime]$Matches[1]).ToUniversalTime(); 'What' = $Matches[2]; 'Rest' = $Matches[3] }
        }
    }
}

function Add-Event {
    param([string] $What, [string] $Rest = '')
    Add-Content -LiteralPath $Events -Encoding UTF8 -Value ((Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ') + ' ' + $What + ' ' + $Rest + ' .')
}

# ---- rollback

function Get-Return {
    # Returns what the rollback does at a place: leave, assign, roll, or remove. It returns stop if the
    # rollback is not possible; Problem then contains the reason.
    param([hashtable] $Place, [string] $Value)
    $now = Get-InUse $Place
    $way = @{ 'Now' = $now; 'Value' = $Value; 'Do' = 'leave'; 'Problem' = ''; 'Left' = ''; 'Shown' = $true }
    if ($now -eq $Value) {
        # The current value does not reliably show a staged certificate. A new assignment ends the staging.
        # Only the event of such an assignment shows that nothing is staged.
        $last = Get-Event 'staged|assigned' | Where-Object { $_.Rest -like ($Place.Name + ';*') } | Select-Object -Last 1
        $restored = $last -and $last.What -eq 'assigned' -and $last.Rest -eq ($Place.Name + ';' + $Value)
        if ($Place['Staged'] -and $Value -ne $Nothing) {
            $way.Shown = & $Place.Staged
            if ($way.Shown -or -not $restored) { $way.Do = 'assign' }
        }
    }
    elseif ($Value -eq $NotKnown -and $now -ne $Place.New) { $way.Do = 'leave' }
    elseif ($Value -eq $NotKnown) { $way.Problem = 'the record does not contain the previous certificate, because the new certificate was already assigned' }
    elseif ($now -ne $Place.New) { $way.Problem = 'it uses ' + $now + ', which is neither the new value nor the recorded value' }
    elseif ($Value -ne $Nothing) { $way.Do = $(if ($Place['Roll']) { 'roll' } else { 'assign' }) }
    elseif (-not $Place['Clear']) { $way.Left = 'no certificate was in use before, and the new certificate cannot be removed' }
    elseif ($Place['Global'] -and -not $RemoveGlobal) { $way.Left = 'no certificate was in use before; -RemoveGlobal removes the new certificate from the whole deployment' }
    else { $way.Do = 'remove' }
    if ($way.Do -in 'assign', 'roll' -and $Value -match '^[0-9A-F]{40}$') {
        $path = 'Cert:\LocalMachine\My\' + $Value
        if (-not (Test-Path -LiteralPath $path)) { $way.Problem = $Value + ' is no longer in the store' }
        elseif (-not (Test-InDate $Value)) { $way.Problem = $Value + ' is not valid: it expired on ' + (Get-Utc (Get-Item -LiteralPath $path).NotAfter) }
        elseif (-not (Test-Key $path)) { $way.Problem = 'the key of ' + $Value + ' cannot be opened' }
    }
    if ($way.Problem) { $way.Do = 'stop' }
    return $way
}

function Assert-Return {
    # Checks the record, the store, the keys, and the dates before anything is changed.
    if (@($Places).Count -eq 0) { return }
    if (-not (Test-Path -LiteralPath $Record)) {
        Stop-Run ($Record + ' does not exist: this deployment assigned nothing on this server, or the record was deleted') 'Nothing was changed. Without the record, the script cannot roll back. Assign the previous certificate manually.'
    }
    $values = Read-Record
    $ways = @(foreach ($place in $Places) { (Get-Return $place $values[$place.Name]) + @{ 'Place' = $place } })
    $problems = @($ways | Where-Object { $_.Problem } | ForEach-Object { $_.Place.Name + ': ' + $_.Problem })
    if ($problems.Count -gt 0) {
        Stop-Run ('the script cannot restore the recorded values. ' + ($problems -join '. ')) 'Nothing was changed. Assign a valid certificate manually, as the sheet describes.'
    }
    if (@($ways | Where-Object { $_.Place['Restart'] -and $_.Do -ne 'leave' }).Count -and -not $DrainServices -and -not $Look -and -not (Test-ServicesStopped)) {
        Stop-Run 'the services are running and would continue to use the new certificate' 'Nothing was changed. Run this script with -Back -DrainServices -StartServices.'
    }
}

function Restore-Place {
    param([hashtable] $Place)
    $way = Get-Return $Place (Read-Record)[$Place.Name]
    if ($way.Do -eq 'remove') {
        $question = 'Remove the certificate ' + $way.Now + ' from ' + $Place.Name + ' on ' + $Server + '? Services that use this certificate stop working.'
        if (-not $PSCmdlet.ShouldContinue($question, 'No certificate was in use before')) {
            Stop-Run ('you answered No: ' + $Place.Name + ' keeps ' + $way.Now) 'Run the script again when you have decided.'
        }
        & $Place.Clear
    }
    elseif ($way.Do -eq 'roll') { & $Place.Roll $way.Value (Get-Date).AddMinutes(10) }
    elseif ($way.Do -eq 'assign') { & $Place.Set $way.Value $Place['Key'] }
    Add-Event 'assigned' ($Place.Name + ';' + $way.Value)
    if ($way.Do -eq 'roll') { return }
    $way = Get-Return $Place $way.Value
    if ($way.Do -ne 'leave') {
        $script:Found = $Place.Name + ' uses ' + $way.Now + ', or the new certificate is still staged there'
        Stop-Run 'the script cannot confirm the rollback' 'Check the assignment with the command on the sheet. Do not remove the assignment, because this would remove the current certificate.'
    }
}

# ---- a step

function Invoke-Work {
    # Performs the action of a step. Commands are not piped, because a command that prompts for a password
    # would not show its prompt.
    param([hashtable] $Step)
    switch ($Step['Does']) {
        'record' { if (-not (Test-Path -LiteralPath $Record)) { Save-Record } }
        'drain' {
            if (-not (Test-Drained)) { Add-Event 'ran' (@(Get-Running) -join ';') }
            Add-Event 'drain'
            & $Step.Commands
        }
        'start' {
            if ($ServiceStart -and @(Get-Ran).Count) {
                foreach ($name in @(Get-NotRunning)) { & $ServiceStart $name }
            }
            else { & $Step.Commands }
        }
        'set' {
            foreach ($place in @(Get-Places $Step.Place | Where-Object { (Get-InUse $_) -ne $_.New })) {
                & $place.Set $place.New $place['Key']
                Add-Event 'assigned' ($place.Name + ';' + $place.New)
            }
        }
        'restore' { foreach ($place in @(Get-Places $Step.Place)) { Restore-Place $place } }
        'roll' {
            foreach ($name in $Step['Assigns']) { Add-Event 'staged' $name }
            & $Step.Commands
        }
        default { if ($Step['Commands']) { & $Step.Commands } }
    }
    foreach ($name in $Step['Assigns']) { if ($Step['Does'] -eq 'assign') { Add-Event 'assigned' $name } }
}

function Test-Done {
    # Returns whether a step is already done: 'yes', 'no', 'cannot tell', or 'later'.
    param([hashtable] $Step)
    if ($Step['Does'] -eq 'record') {
        if (-not (Test-Path -LiteralPath $Record)) { return 'no' }
        if (-not $Look) { Assert-Record }
        return 'yes'
    }
    if ($Step['Does'] -eq 'restore') {
        $answer = 'yes'
        $ways = foreach ($place in @(Get-Places $Step.Place)) {
            $way = Get-Return $place (Read-Record)[$place.Name]
            $place.Name + ' uses ' + $way.Now + ' (recorded value: ' + $way.Value + ')'
            if ($way.Left) { $script:Left += $place.Name + ': ' + $way.Left + '.' }
            if ($way.Do -eq 'leave') { continue }
            if ($way.Shown -or -not $Verify) { $answer = 'no'; continue }
            'the new certificate may still be staged'
            if ($answer -eq 'yes') { $answer = 'cannot tell' }
        }
        $script:Found = @($ways) -join '; '
        return $answer
    }
    if (-not $Step['Holds']) { return 'no' }
    $wrong = Find-Wrong $Step 'Holds'
    return $(if ($wrong) { $wrong.Answer } else { 'yes' })
}

function Add-Doubt {
    # Warns that a result could not be confirmed. The script repeats the check at the end of the run.
    param([hashtable] $Wrong)
    Write-Line ($Wrong.Says + (Get-Evidence)) 'WARNING        '
    $script:Doubts += @{ 'Holds' = @($Wrong.Check) }
}

function Invoke-ByHand {
    # A person performs the step. The script shows the instructions and checks whether the step is done.
    param([hashtable] $Step)
    Write-Step 'by hand'
    if (-not $Look) { [string]$Step['Commands'] -split "`n" | Where-Object { $_.Trim() } | ForEach-Object { Write-Host (' ' * 15 + $_.Trim()) } }
    $wrong = Find-Wrong $Step 'Holds'
    if (-not $wrong) { return }
    if ($wrong.Answer -eq 'later') { Write-Line $wrong.Says (' ' * 15) }
    elseif ($Step['GoesOn']) { return (Add-Doubt $wrong) }
    if ($Look) { return (Add-Would $Step) }
    if ($wrong.Answer -eq 'cannot tell' -and $PSCmdlet.ShouldContinue('The script cannot determine whether ' + $wrong.Check.Text + (Get-Evidence) + ' Have you verified manually that this is true?', $Step.Name)) { return }
    Stop-Run $wrong.Says 'Perform this step manually as the sheet describes, then run this script again.'
}

function Invoke-Step {
    param([hashtable] $Step)
    $script:Current = $Step
    $again = 'The script did not perform this step. Find out why the check fails, then run the script again.'
    $wrong = Find-Wrong $Step 'OnlyIf'
    if ($wrong) {
        if ($wrong.Answer -eq 'cannot tell') { return (Stop-Run $wrong.Says $again) }
        if ($wrong.Answer -eq 'later') { return (Write-Step 'not known yet' (': ' + $wrong.Says)) }
        if ($Look) { Write-Step 'not needed' }
        return
    }
    $done = Test-Done $Step
    if ($done -eq 'cannot tell' -and -not $Step['ByHand']) { return (Stop-Run 'the script cannot determine whether this step is complete' $again) }
    if ($done -eq 'yes') {
        $by = @($Step['Holds'] | Where-Object { $_ -and $Would.ContainsKey($_.Text) }).Count
        return (Write-Step $(if ($by) { 'would be done' } elseif ($Step['ByHand']) { 'checked' } else { 'already done' }) $(if ($by) { ' (by an earlier step)' }))
    }
    if ($Step['ConfirmedBy']) {
        if ($Asked[$Step.ConfirmedBy]) { return (Write-Step 'confirmed') }
        return (Stop-Run 'nobody has confirmed this step yet' ('Perform this step as the sheet describes, then run this script again with -' + $Step.ConfirmedBy + '.'))
    }
    if ($Step['ByHand']) { return (Invoke-ByHand $Step) }
    if ($Step['WhenAsked'] -and -not $Asked[$Step.WhenAsked]) { return (Write-Step 'not requested' (' (requires -' + $Step.WhenAsked + ')')) }
    $wrong = Find-Wrong $Step 'Waits'
    if ($wrong) {
        $until = ''
        try { if ($wrong.Check['When']) { $until = ' until ' + (Get-Utc (& $wrong.Check.When | Select-Object -Last 1)) } } catch { $null = $_ }
        $script:Left += 'Step ' + $Step.Name + ' waits' + $until + ', because ' + $wrong.Says + '.'
        return (Write-Step 'waiting' $until ($wrong.Says + (Get-Evidence)))
    }
    $wrong = Find-Wrong $Step 'Needs'
    if ($wrong) { return (Stop-Run $wrong.Says 'The script did not perform this step. Read the step on the sheet, correct the problem, then run the script again.') }
    if ($Look) {
        Write-Step 'would be done' $(if ($Step['Does'] -eq 'restore') { ': ' + $Found })
        return (Add-Would $Step)
    }
    $script:Found = ''
    foreach ($check in $Step['Confirms']) {
        if ((Read-Answer $check) -eq 'yes') { continue }
        if (-not $PSCmdlet.ShouldContinue('Not confirmed: ' + $check.Text + (Get-Evidence) + ' Do you want to continue?', $Step.Name)) {
            Stop-Run ('you answered No. Not confirmed: ' + $check.Text) 'The script did not perform this step. Run the script again when the condition is met.'
        }
    }
    if (-not $PSCmdlet.ShouldProcess($Server, $Step.Name)) {
        Stop-Run 'you answered No' 'The script did not perform this step and the following steps. Run the script again when you want to continue.'
    }
    Submit-Step $Step
}

function Submit-Step {
    # Performs a step and then repeats its checks, for at most the number of minutes that the step allows.
    param([hashtable] $Step)
    Write-Step 'running'
    $script:Found = ''
    $script:Changed += 'incomplete: ' + $Step.Name
    Invoke-Work $Step
    $limit = (Get-Date).AddMinutes([int]$Step['Minutes'])
    while ($Step['Holds'] -and (Test-Done $Step) -ne 'yes' -and (Get-Date) -lt $limit) { Start-Sleep -Seconds 20 }
    $wrong = Find-Wrong $Step 'Holds'
    if ($wrong -and -not $Step['GoesOn']) { Stop-Run ('the commands of this step ended, but ' + $wrong.Says) 'Read this step on the sheet before you run anything again.' }
    # The services may be stopped. A result that cannot be confirmed must not prevent their start.
    if ($wrong) { Add-Doubt $wrong }
    if ($Step['Does'] -eq 'start') { Add-Event 'started' }
    $script:Changed[-1] = $(if ($wrong) { 'not confirmed: ' } else { 'done: ' }) + $Step.Name
}

function Get-Incomplete {
    # Names the steps that a run leaves if it only starts the services.
    foreach ($step in @($all | Where-Object { $_['Does'] -in 'assign', 'roll', 'set', 'restore' })) {
        if (-not (Find-Wrong $step 'OnlyIf') -and (Test-Done $step) -ne 'yes') { 'Step ' + $step.Name + ' is not complete.' }
    }
}

function Write-Report {
    # The thumbprint is blank if a place has no certificate, or if the script cannot determine which one.
    $path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Report)
    if ((Test-Path -LiteralPath $path) -and -not (Get-Content -LiteralPath $path | Where-Object { $_ -match 'lyncnb-installed/1' })) {
        Stop-Run ($path + ' exists and is not a report from this script') 'Specify another file.'
    }
    $seen = @(foreach ($place in $Places) {
        $value = ''
        try { $value = [string](Get-InUse $place) } catch { Write-Line ($place.Name + ': ' + $_.Exception.Message) 'WARNING        ' }
        if ($value -notmatch '^[0-9A-Fa-f]{40}$') { $value = '' }
        @{ 'place' = [string]$place.Name; 'thumbprint' = $value }
    })
    $at = (Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
    $text = ConvertTo-Json -InputObject @{ 'format' = 'lyncnb-installed/1'; 'server' = $ComputerName; 'at' = $at; 'places' = $seen } -Depth 4
    [IO.File]::WriteAllText($path, $text + "`r`n")
    Write-Line ('The report is in ' + $path + '.')
}

function Show-Facts {
    # Prints each check once: failed checks first, with the actual state below. If a check depends on
    # another check, it is 'cannot tell' until the other check is true. For example, the script can check
    # a key only if the certificate is in the store.
    $answers = @{}
    $facts = @(foreach ($step in $chosen) {
        $script:Current = $step
        if ($step['Does'] -eq 'restore') { @{ 'Answer' = Test-Done $step; 'Text' = $step.Place + ' uses the previous certificate or setting'; 'Found' = $Found } }
        elseif (Find-Wrong $step 'OnlyIf') { continue }
        foreach ($check in $step['Holds']) {
            if ($check['Passing'] -or $answers.ContainsKey($check.Text)) { continue }
            $first = [string]$check['After']
            if ($answers[$first] -notin 'no', 'cannot tell') { $answers[$check.Text] = Read-Answer $check }
            else {
                $answers[$check.Text] = 'cannot tell'
                $script:Found = 'this is not true: ' + $first
            }
            @{ 'Answer' = $answers[$check.Text]; 'Text' = $check.Text; 'Found' = $Found }
        }
    })
    $counts = foreach ($answer in 'no', 'cannot tell', 'yes') {
        $some = @($facts | Where-Object { $_.Answer -eq $answer })
        foreach ($fact in $some) {
            Write-Line $fact.Text $(if ($answer -eq 'yes') { $answer } else { $answer.ToUpper() }).PadRight(13)
            if ($answer -ne 'yes' -and $fact.Found) { Write-Line ('Found: ' + $fact.Found) (' ' * 13) }
        }
        $some.Count
    }
    Write-Line ('{0}: {1} not true, {2} unknown, {3} true.' -f (@($Server) + $counts))
    $script:Current = $null
    Stop-Run '' '' ([int]($counts[0] + $counts[1] -gt 0))
}

function Assert-Place {
    # Windows would import the package of another server, but every client would reject the certificate.
    if ($Server -and $ComputerName -ne $Server) {
        Stop-Run ('this computer is ' + $ComputerName + '. The script is for ' + $Server) 'Run the script for this computer. If the server is outside the domain, first set the primary DNS suffix.'
    }
    # The name of the group "High Mandatory Level" depends on the Windows language. Its SID does not.
    if (-not ((whoami.exe /groups) -match 'S-1-16-(12288|16384)')) {
        Stop-Run 'this PowerShell session is not elevated' 'Open PowerShell with Run as administrator.'
    }
    foreach ($command in $Commands) {
        if (-not (Get-Command -Name $command -ErrorAction SilentlyContinue)) {
            Stop-Run ('the command ' + $command + ' does not exist in this shell') ('Run this script in ' + $Shell + '.')
        }
    }
    if (-not $Look -and -not $Verify -and $Host.Name -ne 'ConsoleHost' -and @($chosen | Where-Object { [string]$_['Commands'] -match '-importpfx|-exportpfx' }).Count) {
        Stop-Run ('the script needs a PowerShell console, because certutil prompts for a password. This is ' + $Host.Name) 'Open a PowerShell console on the server, and run this script in the console.'
    }
}

$tcpip = Get-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters'
$ComputerName = (@($tcpip.Hostname, $tcpip.Domain) | Where-Object { $_ }) -join '.'
$all = @($(if ($Back) { $BackSteps } else { $Steps }) | Where-Object { -not $TrustOnly -or $_['Trust'] })
$chosen = $all
try {
    if (-not $Look -and -not $Verify) {
        try { Start-Transcript -Path ($Folder + '\run-' + $Change + (Get-Date).ToString('-yyyyMMdd-HHmmss') + '.txt') | Out-Null }
        catch { Write-Line ('WARNING: the script cannot record this run in a file: ' + $_.Exception.Message) }
    }
    foreach ($module in $Modules) { Import-Module -Name $module }
    Assert-Place
    $Places = @(Expand-Places)
    $startOnly = $StartServices -and -not $DrainServices -and -not $Verify -and (Test-Drained)
    if ($startOnly) { $chosen = @($all | Where-Object { $_['WhenAsked'] -eq 'StartServices' }) }
    if ($Report -and -not $Verify) { Stop-Run '-Report needs -Verify' 'Run the script with -Verify -Report and the name of a file.' }
    if ($Report) { Write-Report }
    if ($Verify) { Show-Facts }
    if ($Back -and -not $startOnly) { Assert-Return }
    foreach ($step in $chosen) { if (-not $Ended) { Invoke-Step $step } }
    $Current = $null
    if ($startOnly) { $Left += @(Get-Incomplete) }
    if (-not $Look -and -not $TrustOnly -and -not (Test-ServicesLoaded)) {
        $Left += 'Services still use the previous certificate (' + (@(Get-Stale) -join ', ') + '): run this script with -DrainServices -StartServices.'
    }
    if (@($Undone.Keys | Where-Object { -not $Would.ContainsKey($_) }).Count) { $Left += 'The services stay stopped until you run this script with -StartServices.' }
    foreach ($doubt in @($Doubts | Where-Object { -not $Look })) {
        $wrong = Find-Wrong $doubt 'Holds'
        if ($wrong) { $Left += $wrong.Says + (Get-Evidence) }
    }
    $Found = ''
    Stop-Run '' $(if ($Look -and $Ended) { 'Nothing was changed. First complete the step.' } elseif ($Look) { 'Nothing was changed. Run the script without -WhatIf.' } else { 'Run this script with ' + $(if ($Back) { '-Back ' }) + '-Verify, and send the run-... files to the planner.' }) $(if ($Look -and $Ended) { 1 } elseif (@($Left).Count) { 2 } else { 0 })
}
catch {
    $Found = $_.Exception.Message
    $Look = $false
    Stop-Run 'a command failed' 'Read the message above. Correct the problem, then run this script again: it continues with this step.'
}
finally {
    if (-not $Ended) { Write-Host 'The run was interrupted. Run the script again: it continues where it stopped.' }
    $Thread.CurrentCulture = $Culture
}
