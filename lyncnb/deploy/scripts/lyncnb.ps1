# The common part of each install.ps1, which compares the SHA-256 of this file before it uses it.
# It contains no values, no passwords, and no keys. Each step of install.ps1 is checked (Holds), performed
# (Commands), and checked again. A step that is already done is skipped, so a second run continues where
# the first one stopped. A check answers yes, no, or cannot tell: an error is never a 'no'. The script keeps
# the record of the values before this change (before-...), the times of what it did (events-...), and
# the output of each run (run-...). Exit status: 0 done, 1 stopped (-Verify: not all yes), 2 something is left.
$Record = $Folder + '\before-' + $Change + '.csv'
$Events = $Folder + '\events-' + $Change + '.txt'
$Nothing = '(nothing)'
$NotKnown = '(not known)'
$Thumbprint = '^[0-9A-Fa-f]{40}$'
$Found = ''       # the actual state that the last check found
$Changed = @()    # the steps that this run has started or performed
$Left = @()       # what this run leaves for later
$Doubts = @()     # checks that could not be confirmed, to repeat at the end
$Assumed = @{}    # with -WhatIf: the answers of checks after the steps that the run would perform
$Current = $null  # the step in progress
$Ended = $false
$Transcript = ''  # the file with the output of this run

function Write-Line([string] $Text, [string] $Label = '') {
    # Breaks lines between words, at the width of the window.
    try { $width = [Math]::Max(60, $Host.UI.RawUI.WindowSize.Width) } catch { $width = 80 }
    $pattern = '(.{1,' + ($width - $Label.Length - 1) + '}|\S+)( |$)'
    foreach ($line in [regex]::Matches(($Text.Trim() -replace '\s+', ' '), $pattern)) {
        Write-Host ($Label + $line.Groups[1].Value)
        $Label = ' ' * $Label.Length
    }
}
function Write-Step([string] $State, [string] $After = '') { Write-Line ($Current.Name + $After) $State.PadRight(15) }
function Write-Detail([string] $Text) { Write-Line $Text (' ' * 15) }
function Write-Doubt([string] $Text) { Write-Line $Text 'WARNING        ' }
function Write-List([string] $Heading, [object[]] $Lines) {
    if ($Lines) { Write-Line $Heading }
    foreach ($line in $Lines) { Write-Line $line '  - ' }
}
function Get-Evidence { if ($Found) { '. Found: ' + $Found } else { '.' } }
function Get-Utc([datetime] $Time) { $Time.ToUniversalTime().ToString('yyyy-MM-dd HH:mm') + ' UTC' }
function Stop-Run([string] $What, [string] $Do, [int] $Status = 1) {
    # Ends every run. With -WhatIf, it only says that the current step would stop the run.
    $script:Ended = $true
    if ($What) { $What = $What.Substring(0, 1).ToUpper() + $What.Substring(1) }
    if ($What -and $Look -and $Current) {
        Write-Step 'WOULD STOP'
        return (Write-Detail ($What + (Get-Evidence) + ' ' + $Do))
    }
    Write-Host ''
    if ($What) {
        Write-Line ('STOPPED' + $(if ($Current) { ' at step ' + $Current.Name }))
        Write-Line ($What + '.') '  '
        if ($Found) { Write-Line $Found '  Found: ' }
        Write-List 'This run changed:' $(if ($Changed) { $Changed } else { 'nothing' })
    }
    Write-List 'Left for later:' $Left
    $stopped = @()
    try {
        if (Test-Drained) { $stopped = @(Get-NotRunning) }
        $others = 'These services were not running before this change, and the script does not start them:'
        Write-List $others (Get-NotRunning -Before)
    }
    catch { Write-Line ('The script cannot determine which services are running: ' + $_.Exception.Message) }
    Write-List 'THESE SERVICES ARE STOPPED because of this change:' $stopped
    if ($stopped) {
        Write-Line 'To start them, run this script with -StartServices alone. It then performs no other step.'
        $Status = [Math]::Max($Status, 1 + [int](-not $What))
    }
    if ($Do -and ($What -or -not $stopped)) { Write-Line ('What to do next: ' + $Do) }
    if ($Status -eq 0 -and -not $Look) { Write-Host 'done' }
    # Another transcript is the administrator's own.
    if ($Transcript) { try { Stop-Transcript | Out-Null } catch { $null = $_ } }
    exit $Status
}

# ---- checks

function Read-Answer([string] $Name) {
    # Returns 'yes', 'no', 'cannot tell', or, with -WhatIf, 'later'.
    $check = $Checks[$Name]
    foreach ($known in @($Name, [string]$check.After | Where-Object { $Assumed.ContainsKey($_) })) {
        $script:Found = $Assumed[$known].Found
        if ($known -ne $Name -and $Assumed[$known].Answer -eq 'yes') { return 'later' }
        return $Assumed[$known].Answer
    }
    $script:Found = ''
    $result = 'cannot tell'
    try {
        $answer = @(& $check.Ask)
        if ($answer.Count -ne 1 -or $answer[0] -isnot [bool]) { throw 'the check returned neither true nor false.' }
        if ($answer[0]) { return 'yes' }
        $result = 'no'
        if ($check.Shows) { $script:Found = @(& $check.Shows) -join '; ' }
        if ($check.Shows -and -not $Found.Trim()) { $script:Found = 'nothing' }
    }
    catch { $script:Found = $_.Exception.Message }
    return $result
}
function Read-Checks([string[]] $Names) {
    # Returns the first answer that is not 'yes', and what it means. Any other answer comes before 'later'.
    $result = @{ 'Answer' = 'yes'; 'Name' = ''; 'Says' = '' }
    foreach ($name in $Names) {
        $answer = Read-Answer $name
        if ($answer -eq 'yes') { continue }
        $text = $Checks[$name].Text
        $result = @{ 'Answer' = $answer; 'Name' = $name; 'Says' = 'this is not true: ' + $text }
        if ($answer -eq 'cannot tell') { $result.Says = 'the script cannot determine whether ' + $text }
        if ($answer -ne 'later') { break }
        $result.Says = 'can be checked after ' + $Found
    }
    return $result
}
function Add-Assumed([hashtable] $Step) {
    # With -WhatIf, a step counts as performed. A drain makes the checks of the start step false.
    $number = 'step ' + $Step.Number
    foreach ($name in $Step.Holds) { $Assumed[$name] = @{ 'Answer' = 'yes'; 'Found' = $number } }
    if ($Step.Does -ne 'drain') { return }
    foreach ($name in @($chosen | Where-Object { $_.Does -eq 'start' } | ForEach-Object { $_.Holds })) {
        $Assumed[$name] = @{ 'Answer' = 'no'; 'Found' = $number + ' stops the services' }
    }
}
function Get-Stored([string] $Value) {
    $path = 'Cert:\LocalMachine\My\' + $Value
    if (Test-Path -LiteralPath $path) { Get-Item -LiteralPath $path }
}
function Test-InDate([string] $Value) {
    [bool](Get-Stored $Value | Where-Object { $_.NotBefore -le (Get-Date) -and $_.NotAfter -gt (Get-Date) })
}
function Test-Verified([string] $Value) {
    # certutil opens the key, and verifies the dates and the chain. Its words depend on the language of Windows,
    # but its exit status, its error codes, and the names of providers do not.
    $text = @(certutil -verifystore My $Value) -join ' '
    if ($LASTEXITCODE) { return $false }
    # An RSA key there may not be usable: "The buffer supplied to a function was too small".
    $rsa = (Get-Stored $Value).PublicKey.Oid.Value -eq '1.2.840.113549.1.1.1'
    if ($OldProvider -and $rsa -and $text -match 'Key Storage Provider|Platform Crypto Provider') {
        throw ('its key is in a ' + $Matches[0] + '.')
    }
    # Without the CRL, other servers may refuse or delay connections, but the certificate can be assigned.
    $offline = '0x8009201[23]'
    if ($text -match $offline) { Write-Doubt ('this server cannot download the CRLs for ' + $Value) }
    return (($text -replace $offline) -notmatch '0x8[0-9a-f]{7}')
}
function Get-Shown([string] $Server, [int] $Port, [string] $Name) {
    # Returns the thumbprint of the certificate that a server presents, even if it is not valid.
    $anyone = [Net.Security.RemoteCertificateValidationCallback] { $true }
    $client = New-Object Net.Sockets.TcpClient -ArgumentList $Server, $Port
    try {
        $tls = New-Object Net.Security.SslStream -ArgumentList $client.GetStream(), $false, $anyone
        $tls.AuthenticateAsClient($Name)
        return $tls.RemoteCertificate.GetCertHashString()
    }
    finally { $client.Close() }
}

# ---- services. Those of $Ignored run without a certificate, so they say nothing about the product.

function Get-Services { if ($ServiceList) { & $ServiceList | Select-Object -Property Name, Status } }
function Get-Settings([string] $Name) { Get-CimInstance -ClassName Win32_Service -Filter ("Name='" + $Name + "'") }
function Test-Enabled([string] $Name) { (Get-Settings $Name).StartMode -ne 'Disabled' }
function Get-Running { Get-Services | Where-Object { $_.Status -ne 'Stopped' } | ForEach-Object { [string]$_.Name } }
function Get-InService { Get-Running | Where-Object { $Ignored -notcontains $_ } }
function Test-ServicesStopped { -not (Get-InService) }
function Test-ServicesRun { -not (Get-NotRunning) }
function Test-ServicesLoaded { -not (Get-Stale) }
# A failover disables the services that were running. Only a failback enables them again.
function Test-FailedOver { [bool](Get-Expected | Where-Object { -not (Test-Enabled $_) }) }
function Test-Drained { (Get-Event 'drain|started' | Select-Object -Last 1).What -eq 'drain' }
function Get-Ran {
    # The services that were running when this change began, if the server was in use.
    if ($Case -ne 'renew') { return }
    Get-Event 'ran' | Select-Object -Last 1 | ForEach-Object { $_.Rest -split ';' } | Where-Object { $_ }
}
function Get-Expected {
    # The services that ran before this change. On a new server: all services that are not disabled.
    $ran = @(Get-Ran)
    if ($ran) { return $ran }
    Get-Services | ForEach-Object { [string]$_.Name } | Where-Object { Test-Enabled $_ }
}
function Get-NotRunning([switch] $Before) {
    # The expected services that do not run. Before: the others, which did not run before this change.
    $expected = @(Get-Expected)
    $names = @(Get-Services | Where-Object { $_.Status -ne 'Running' } | ForEach-Object { [string]$_.Name })
    if (-not $Before) { return ($names | Where-Object { $expected -contains $_ }) }
    $names | Where-Object { $expected -notcontains $_ -and (Test-Enabled $_) }
}
function Get-Stale {
    # The services that started before a certificate that they read at their start was assigned. A shared
    # process (svchost) serves the web usages, which need no restart.
    $names = @($Places | Where-Object { $_.Restart } | ForEach-Object { $_.Name })
    $last = Get-Event 'assigned' | Where-Object { $names -contains ($_.Rest -split ';')[0] } | Select-Object -Last 1
    foreach ($name in @(if ($last) { Get-InService })) {
        $settings = Get-Settings $name
        if ($settings.ServiceType -ne 'Own Process') { continue }
        if ((Get-Process -Id $settings.ProcessId).StartTime.ToUniversalTime() -lt $last.Time) { $name }
    }
}
function Test-RestartAhead {
    # Whether services will need a restart, because a certificate that they read at their start changes.
    foreach ($place in @($Places | Where-Object { $_.Restart })) {
        $wanted = $(if ($Back) { (Read-Record)[$place.Name] } else { $place.New })
        if ($wanted -ne $NotKnown -and (Get-InUse $place) -ne $wanted) { return $true }
    }
    return (-not (Test-ServicesLoaded))
}

# ---- places that use a certificate, the record of their previous values, and the events

function Expand-Places {
    # Some places, such as bindings, exist several times or not at all. Each one has its own key.
    foreach ($place in $Places) {
        $place.Title = $place.Name
        foreach ($key in @(if ($place.Each) { & $place.Each | Select-Object -Unique } else { $null })) {
            $own = $place.Clone()
            if ($place.Each) { $own.Key = [string]$key }
            $own.Name = ($place.Title + ' ' + $key).Trim()
            $own
        }
    }
}
function Get-Places([string] $Title) { $Places | Where-Object { $_.Title -eq $Title } }
function Get-Known($Place) { if (Test-Path -LiteralPath $Record) { (Read-Record)[$Place.Name] } else { $Place.Old } }
function Get-InUse([hashtable] $Place) {
    # Of several certificates: the new one if it signs tokens, the only other one in date, or the one on record.
    $values = @(& $Place.Read $Place.Key | ForEach-Object { [string]$_ } | Where-Object { $_ } | Select-Object -Unique)
    if ($values.Count -gt 1 -and $values -contains $Place.New -and (Test-Effective $Place)) { return $Place.New }
    if ($values.Count -gt 1) { $values = @($values | Where-Object { $_ -ne $Place.New }) }
    if ($values.Count -gt 1) { $values = @($values | Where-Object { Test-InDate $_ }) + @($null) }
    if ($values.Count -gt 2) { $values = @($values -eq (Get-Known $Place)) + @($null) }
    if ($values.Count -eq 0) { return $Nothing }
    if ($values.Count -le 2 -and $values[0]) { return $values[0] }
    throw ('The script cannot determine which certificate is in use for ' + $Place.Name + '.')
}
function Get-LastEvent([hashtable] $Place) {
    # The last assignment, rollover, or return at a place. The time of a rollover is its third part.
    $events = Get-Event 'staged|assigned|returned' | Where-Object { ($_.Rest -split ';')[0] -eq $Place.Name }
    return ($events | Select-Object -Last 1)
}
function Test-Effective([hashtable] $Place) {
    # Whether the new certificate of a rollover signs tokens. Before its time, and after the return, it does not.
    $last = Get-LastEvent $Place
    if ($last -and $last.What -ne 'staged') { return ($last.Rest -split ';')[1] -eq $Place.New }
    $time = $(if ($last) { ($last.Rest -split ';')[2] } else { $Place.Effective })
    return ($time -and [datetime]$time -le (Get-Date))
}
function Read-Record {
    # The values before this change. A binding or override that was added later had no certificate then.
    $values = @{}
    $rows = Get-Content -LiteralPath $Record -Encoding UTF8 | ConvertFrom-Csv
    $rows | ForEach-Object { $values[[string]$_.Place] = $_.Value }
    foreach ($place in @($Places | Where-Object { -not $values[$_.Name] })) {
        if (-not $place.ContainsKey('Key')) { throw ($Record + ' has no row for ' + $place.Name + '.') }
        $values[$place.Name] = $Nothing
    }
    return $values
}
function Save-Record {
    # Reads every value twice before it writes. The file gets its final name only when it is complete.
    $rows = foreach ($place in $Places) {
        $value = Get-InUse $place
        if ($value -ne (Get-InUse $place)) { throw ('Two queries of ' + $place.Name + ' returned different results.') }
        # Somebody assigned the new certificate manually. A setting may have had the new value before.
        if ($value -eq $place.New -and -not $place.Setting) { $value = $NotKnown }
        [pscustomobject]@{ 'Place' = $place.Name; 'Value' = $value }
    }
    $running = @(Get-Running) -join ';'
    Set-Content -LiteralPath ($Record + '.new') -Value ($rows | ConvertTo-Csv -NoTypeInformation) -Encoding UTF8
    # If the record was renamed after a drain, what runs now is not what ran before this change.
    if (-not (Test-Drained)) { Add-Event 'ran' $running }
    Move-Item -LiteralPath ($Record + '.new') -Destination $Record -Force
    Assert-Record
}
function Assert-Record {
    # Each value is the recorded one or the new one. Otherwise, the record is not of this change.
    $values = Read-Record
    foreach ($place in $Places) {
        $now = Get-InUse $place
        $name = $place.Name + ';' + $now
        $known = $place.Roll -or (Get-Event 'assigned' | Where-Object { $_.Rest -eq $name })
        if ($now -eq $place.New -and -not $known) { Add-Event 'assigned' $name }
        if ($now -in $place.New, $values[$place.Name] -or $values[$place.Name] -eq $NotKnown) { continue }
        $script:Found = $place.Name + ' uses ' + $now + ', but the recorded value is ' + $values[$place.Name]
        $next = 'Find out who changed it. If it is correct, rename ' + $Record + ' and run this script again.'
        Stop-Run 'somebody changed an assignment after the record was written' $next
    }
}
function Get-Event([string] $What) {
    # A line without its final period was not written completely, and does not count.
    $pattern = '^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (' + $What + ') (.*) \.$'
    foreach ($line in @(if (Test-Path -LiteralPath $Events) { Get-Content -LiteralPath $Events -Encoding UTF8 })) {
        if ($line -notmatch $pattern) { continue }
        @{ 'Time' = ([datetime]$Matches[1]).ToUniversalTime(); 'What' = $Matches[2]; 'Rest' = $Matches[3] }
    }
}
function Add-Event([string] $What, [string] $Rest = '') {
    $time = (Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
    Add-Content -LiteralPath $Events -Encoding UTF8 -Value ($time + ' ' + $What + ' ' + $Rest + ' .')
}

# ---- rollback

function Get-Return([hashtable] $Place) {
    # What the rollback does at a place: leave, assign, roll, remove, or stop with a Problem. A new certificate
    # that has signed tokens must stay as the previous one, so the old one is rolled over to. Before that, an
    # assignment cancels what is staged, and only its event proves that: the current value does not show it reliably.
    $now = Get-InUse $Place
    $old = (Read-Record)[$Place.Name]
    $last = Get-LastEvent $Place
    $way = @{ 'Place' = $Place; 'Now' = $now; 'Value' = $old; 'Do' = 'leave'; 'Shown' = $true }
    $none = 'no certificate was in use before, '
    if ($now -eq $old) {
        if (-not $Place.Staged -or $old -eq $Nothing -or $last.What -eq 'returned') { return $way }
        $way.Shown = & $Place.Staged
        $proven = $last.What -eq 'assigned' -and $last.Rest -eq ($Place.Name + ';' + $old)
        if ($way.Shown -or -not $proven) { $way.Do = 'assign' }
    }
    elseif ($now -ne $Place.New -and $old -ne $NotKnown) {
        $way.Problem = 'it uses ' + $now + ', which is neither the new nor the recorded value'
    }
    elseif ($now -ne $Place.New) { return $way }
    elseif ($old -eq $NotKnown) { $way.Problem = 'the record does not contain the previous certificate' }
    elseif ($old -ne $Nothing) {
        $waits = $last.What -eq 'staged' -and -not (Test-Effective $Place)
        $way.Do = $(if ($Place.Roll -and -not $waits) { 'roll' } else { 'assign' })
    }
    elseif (-not $Place.Unset) { $way.Left = $none + 'and the new certificate cannot be removed' }
    elseif ($RemoveGlobal -or -not $Place.Global) { $way.Do = 'remove' }
    else { $way.Left = $none + 'and only -RemoveGlobal removes the new one from the whole deployment' }
    if ($way.Do -in 'assign', 'roll' -and $old -match $Thumbprint) {
        $stored = Get-Stored $old
        if (-not $stored) { $way.Problem = $old + ' is no longer in the store' }
        elseif (-not (Test-InDate $old)) { $way.Problem = $old + ' expired on ' + (Get-Utc $stored.NotAfter) }
        elseif (-not $stored.HasPrivateKey) { $way.Problem = $old + ' has no private key on this server' }
    }
    if ($way.Problem) { $way.Do = 'stop' }
    return $way
}
function Assert-Return {
    # Checks the record, the store, the keys, and the dates before anything is changed.
    if (-not $Places) { return }
    $next = 'Nothing was changed. Assign the previous certificate manually, as the sheet describes.'
    if (-not (Test-Path -LiteralPath $Record)) {
        Stop-Run ($Record + ' does not exist: this script assigned nothing here, or somebody deleted it') $next
    }
    $ways = @($Places | ForEach-Object { Get-Return $_ })
    $problems = @($ways | Where-Object { $_.Problem } | ForEach-Object { $_.Place.Name + ': ' + $_.Problem }) -join '. '
    if ($problems) { Stop-Run ('the script cannot restore the recorded values. ' + $problems) $next }
    $loaded = $ways | Where-Object { $_.Place.Restart -and $_.Do -ne 'leave' }
    if (-not $loaded -or $DrainServices -or $Look -or (Test-ServicesStopped)) { return }
    $next = 'Nothing was changed. Run this script with -Back -DrainServices -StartServices.'
    Stop-Run 'the services are running and would continue to use the new certificate' $next
}
function Restore-Place([hashtable] $Place) {
    $way = Get-Return $Place
    if ($way.Do -eq 'remove') {
        $question = 'Remove ' + $way.Now + ' from ' + $Place.Name + ' on ' + $Server + '? What uses it stops working.'
        if (-not $PSCmdlet.ShouldContinue($question, 'No certificate was in use before')) {
            Stop-Run ('you answered No: ' + $Place.Name + ' keeps ' + $way.Now) 'Run it again when you have decided.'
        }
        & $Place.Unset
    }
    elseif ($way.Do -eq 'roll') { & $Place.Roll $way.Value (Get-Date).AddMinutes(10) }
    elseif ($way.Do -eq 'assign') { & $Place.Set $way.Value $Place.Key }
    Add-Event $(if ($way.Do -eq 'roll') { 'returned' } else { 'assigned' }) ($Place.Name + ';' + $way.Value)
    if ($way.Do -eq 'roll' -or (Get-Return $Place).Do -eq 'leave') { return }
    $script:Found = $Place.Name + ' uses ' + (Get-InUse $Place) + ', or the new certificate is still staged there'
    $next = 'Look at the assignment. Do not remove it: that would remove the current one.'
    Stop-Run 'the script cannot confirm the rollback' $next
}

# ---- a step

function Invoke-Work([hashtable] $Step) {
    # Commands are not piped, because a command that prompts for a password would not show its prompt.
    if ($Step.Does -eq 'record') { Save-Record }
    foreach ($place in @(Get-Places $Step.Place)) {
        if ($Step.Does -eq 'restore') { Restore-Place $place }
        if ($Step.Does -ne 'set' -or (Get-InUse $place) -eq $place.New) { continue }
        & $place.Set $place.New $place.Key
        Add-Event 'assigned' ($place.Name + ';' + $place.New)
    }
    foreach ($name in @($Step.Assigns | Where-Object { $Step.Does -eq 'roll' })) { Add-Event 'staged' $name }
    if ($Step.Does -eq 'drain') {
        if (-not (Test-Drained)) { Add-Event 'ran' (@(Get-Running) -join ';') }
        Add-Event 'drain'
    }
    $starts = $Step.Does -eq 'start' -and (Get-Ran)
    # A service that does not start must not keep the others stopped.
    foreach ($name in @(if ($starts) { Get-NotRunning })) {
        try { & $ServiceStart $name } catch { Write-Doubt ($name + ' did not start: ' + $_.Exception.Message) }
    }
    if ($Step.Commands -and -not $starts) { & $Step.Commands }
    foreach ($name in @($Step.Assigns | Where-Object { $Step.Does -eq 'assign' })) { Add-Event 'assigned' $name }
}
function Read-Done([hashtable] $Step) {
    # Whether a step is already done: an answer as Read-Checks returns it.
    if ($Step.Does -eq 'restore') { return (Read-Restored $Step) }
    if ($Step.Holds) { return (Read-Checks $Step.Holds) }
    $recorded = $Step.Does -eq 'record' -and (Test-Path -LiteralPath $Record)
    if ($recorded -and -not $Look) { Assert-Record }
    return @{ 'Answer' = $(if ($recorded) { 'yes' } else { 'no' }); 'Says' = '' }
}
function Read-Restored([hashtable] $Step) {
    $answer = 'yes'
    $found = @()
    foreach ($way in @(Get-Places $Step.Place | ForEach-Object { Get-Return $_ })) {
        $found += $way.Place.Name + ' uses ' + $way.Now + ' (recorded value: ' + $way.Value + ')'
        if (-not $way.Shown) { $found += 'the new certificate may still be staged' }
        if ($way.Left) { $script:Left += $way.Place.Name + ': ' + $way.Left + '.' }
        if ($way.Do -eq 'leave') { continue }
        if ($way.Shown -or -not $Verify) { $answer = 'no' }
        elseif ($answer -eq 'yes') { $answer = 'cannot tell' }
    }
    $script:Found = $found -join '; '
    return @{ 'Answer' = $answer; 'Says' = $Step.Place + ' uses the previous certificate or setting' }
}
function Add-Doubt([hashtable] $Wrong) {
    Write-Doubt ($Wrong.Says + (Get-Evidence))
    $script:Doubts += $Wrong.Name
}
function Invoke-ByHand([hashtable] $Step, [hashtable] $Wrong) {
    # A person performs the step. The script shows the commands.
    Write-Step 'by hand'
    $lines = [string]$Step.Commands -split "`n" | Where-Object { $_.Trim() -and -not $Look }
    $lines | ForEach-Object { Write-Host (' ' * 15 + $_.Trim()) }
    if ($Wrong.Answer -eq 'later') { Write-Detail $Wrong.Says }
    elseif ($Step.GoesOn) { return (Add-Doubt $Wrong) }
    if ($Look) { return (Add-Assumed $Step) }
    $question = 'The script cannot determine this. Have you verified that it is true? ' + $Wrong.Says + (Get-Evidence)
    if ($Wrong.Answer -eq 'cannot tell' -and $PSCmdlet.ShouldContinue($question, $Step.Name)) { return }
    Stop-Run $Wrong.Says 'Perform this step manually as the sheet describes, then run this script again.'
}
function Invoke-Step([hashtable] $Step) {
    $script:Current = $Step
    $again = 'Read this step on the sheet, correct the problem, then run this script again.'
    $needed = Read-Checks $Step.OnlyIf
    if ($needed.Answer -eq 'cannot tell') { return (Stop-Run $needed.Says $again) }
    if ($needed.Answer -eq 'later') { return (Write-Step 'not known yet' (': ' + $needed.Says)) }
    if ($needed.Answer -eq 'no') { return $(if ($Look) { Write-Step 'not needed' }) }
    $done = Read-Done $Step
    if ($done.Answer -eq 'yes') {
        $earlier = $Step.Holds | Where-Object { $_ -and $Assumed.ContainsKey($_) }
        if ($earlier) { return (Write-Step 'would be done' ' (by an earlier step)') }
        return (Write-Step $(if ($Step.ByHand) { 'checked' } else { 'already done' }))
    }
    if ($Step.ByHand) { return (Invoke-ByHand $Step $done) }
    if ($done.Answer -eq 'cannot tell') { return (Stop-Run $done.Says $again) }
    $switch = $(if ($Step.Does -eq 'drain') { 'DrainServices' } elseif ($Step.Stage -eq 'start') { 'StartServices' })
    if ($switch -and -not $Asked[$switch]) { return (Write-Step 'not requested' (' (requires -' + $switch + ')')) }
    $wrong = Read-Checks $Step.Waits
    if ($wrong.Answer -in 'no', 'cannot tell') { return (Suspend-Step $Step $wrong) }
    $wrong = Read-Checks $Step.Needs
    if ($wrong.Answer -in 'no', 'cannot tell') { return (Stop-Run $wrong.Says $again) }
    if (-not $Look) { return (Submit-Step $Step) }
    Write-Step 'would be done' $(if ($Step.Does -eq 'restore') { ': ' + $Found })
    Add-Assumed $Step
}
function Suspend-Step([hashtable] $Step, [hashtable] $Wrong) {
    # The run leaves the step for later, and says until when, if that is known.
    $evidence = Get-Evidence
    $until = ''
    $when = $Checks[$Wrong.Name].When
    try { if ($when) { $until = ' until ' + (Get-Utc (& $when | Select-Object -Last 1)) } } catch { $null = $_ }
    $script:Left += 'Step ' + $Step.Name + ' waits' + $until + ', because ' + $Wrong.Says + '.'
    Write-Step 'waiting' $until
    Write-Detail ($Wrong.Says + $evidence)
}
function Submit-Step([hashtable] $Step) {
    # Asks where the step says so, performs it, and repeats its checks for the minutes that it allows.
    $later = 'The script did not perform this step and the following ones. Run it again when you want to continue.'
    foreach ($name in $Step.Confirms) {
        if ((Read-Answer $name) -eq 'yes') { continue }
        $text = 'Not confirmed: ' + $Checks[$name].Text
        if ($PSCmdlet.ShouldContinue($text + (Get-Evidence) + ' Do you want to continue?', $Step.Name)) { continue }
        Stop-Run ('you answered No. ' + $text) $later
    }
    $script:Found = ''
    if (-not $PSCmdlet.ShouldProcess($Server, $Step.Name)) { Stop-Run 'you answered No' $later }
    Write-Step 'running'
    $script:Changed += 'incomplete: ' + $Step.Name
    Invoke-Work $Step
    $limit = (Get-Date).AddMinutes([int]$Step.Minutes)
    while (($wrong = Read-Checks $Step.Holds).Answer -ne 'yes' -and (Get-Date) -lt $limit) { Start-Sleep -Seconds 20 }
    if ($wrong.Answer -eq 'yes') { $script:Changed[-1] = 'done: ' + $Step.Name }
    elseif ($Step.GoesOn) {
        # The services may be stopped: a result that cannot be confirmed must not prevent their start.
        Add-Doubt $wrong
        $script:Changed[-1] = 'not confirmed: ' + $Step.Name
    }
    else {
        $again = 'Read this step on the sheet before you run anything again.'
        Stop-Run ('the commands of this step ended, but ' + $wrong.Says) $again
    }
    if ($Step.Does -eq 'start') { Add-Event 'started' }
}
function Get-Incomplete {
    # The steps that a run leaves if it only starts the services.
    foreach ($step in @($all | Where-Object { $_.Does -in 'assign', 'roll', 'set', 'restore' })) {
        if ((Read-Checks $step.OnlyIf).Answer -ne 'yes' -or (Read-Done $step).Answer -eq 'yes') { continue }
        'Step ' + $step.Name + ' is not complete.'
    }
}

# ---- what a run says and checks

function Write-Report {
    # The thumbprint is blank if a place has no certificate, or if the script cannot determine which one.
    $path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Report)
    $foreign = (Test-Path -LiteralPath $path) -and -not ((Get-Content -LiteralPath $path) -match 'lyncnb-installed/1')
    if ($foreign) { Stop-Run ($path + ' exists and is not a report from this script') 'Specify another file.' }
    $seen = @(foreach ($place in $Places) {
        $value = ''
        try { $value = Get-InUse $place } catch { Write-Doubt ($place.Name + ': ' + $_.Exception.Message) }
        if ($value -notmatch $Thumbprint) { $value = '' }
        @{ 'place' = [string]$place.Name; 'thumbprint' = [string]$value }
    })
    $at = (Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
    $content = @{ 'format' = 'lyncnb-installed/1'; 'server' = $Server; 'at' = $at; 'places' = $seen }
    [IO.File]::WriteAllText($path, (ConvertTo-Json -InputObject $content -Depth 4) + "`r`n")
    Write-Line ('The report is in ' + $path + '.')
}
function Show-Facts {
    # Prints each check of the steps once, with its answer. The failed checks come first.
    $names = @()
    $facts = @(foreach ($step in $chosen) {
        $script:Current = $step
        if ($step.Does -eq 'restore') { (Read-Restored $step) + @{ 'Found' = $Found } }
        elseif ((Read-Checks $step.OnlyIf).Answer -ne 'yes') { continue }
        foreach ($name in $step.Holds) {
            if ($names -contains $name -or $Checks[$name].Passing) { continue }
            $names += $name
            @{ 'Answer' = Read-Answer $name; 'Says' = $Checks[$name].Text; 'Found' = $Found }
        }
    })
    $counts = foreach ($answer in 'no', 'cannot tell', 'yes') {
        $some = @($facts | Where-Object { $_.Answer -eq $answer })
        foreach ($fact in $some) {
            Write-Line $fact.Says $(if ($answer -eq 'yes') { $answer } else { $answer.ToUpper() }).PadRight(13)
            if ($answer -ne 'yes' -and $fact.Found) { Write-Line ('Found: ' + $fact.Found) (' ' * 13) }
        }
        $some.Count
    }
    Write-Line ('{0}: {1} not true, {2} unknown, {3} true.' -f (@($Server) + $counts))
    $script:Current = $null
    Stop-Run '' '' ([int]($counts[0] + $counts[1] -gt 0))
}
function Assert-Shell {
    # The shell can run every command.
    foreach ($module in $Modules) { Import-Module -Name $module }
    foreach ($command in $Commands) {
        if (Get-Command -Name $command -ErrorAction SilentlyContinue) { continue }
        Stop-Run ('the command ' + $command + ' does not exist in this shell') ('Run this script in ' + $Shell + '.')
    }
}
function Assert-Console {
    # certutil prompts for passwords, and only administrators may change what the script uses.
    $typed = $chosen | Where-Object { [string]$_.Commands -match '-importpfx|-exportpfx' }
    if ($typed -and -not $Look -and $Host.Name -ne 'ConsoleHost') {
        $what = 'the script needs a PowerShell console, because certutil prompts for a password. This is ' + $Host.Name
        Stop-Run $what 'Open a PowerShell console on the server, and run this script in the console.'
    }
    # The system, administrators, services, and domain administrators may write. Others may not.
    $trusted = '^S-1-(5-18|5-32-544|3-0|5-80-.*|5-21-.*-5(00|12|19))$'
    $rules = (Get-Acl -LiteralPath $Folder).GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])
    $open = $rules | Where-Object { $_.AccessControlType -eq 'Allow' -and ([int]$_.FileSystemRights -band 0xD0046) }
    $open = @($open | ForEach-Object { [string]$_.IdentityReference } | Where-Object { $_ -notmatch $trusted })
    if (-not $open) { return }
    $what = 'accounts other than administrators can change ' + $Folder + ': ' + ($open -join ', ')
    Stop-Run $what 'Nothing was changed. Run the block with icacls on the sheet, then run this script again.'
}
function Assert-Case {
    # The plan says that the server is new, or which certificates it uses. If that is wrong, nothing is changed.
    if (Test-Path -LiteralPath $Record) { return }
    $renews = $Case -eq 'renew'
    $wrong = @()
    $own = @()
    foreach ($place in @($Places | Where-Object { -not $_.Setting -and -not ($_.Global -and $Case -eq 'join') })) {
        $now = Get-InUse $place
        if (-not $place.Global) { $own += $now }
        if ($now -in $Nothing, $place.New, $place.Old -or ($renews -and -not $place.Old)) { continue }
        $wrong += $place.Name + ' uses ' + $now
    }
    if (-not $renews) { $wrong += @(Get-InService | ForEach-Object { $_ + ' is running' }) }
    elseif ($ServiceList -and $own -and -not ($own -ne $Nothing)) { $wrong += 'no certificate is assigned' }
    if (-not $wrong) { return }
    $script:Found = $wrong -join '; '
    $next = 'Nothing was changed. Ask the planner for '
    if ($renews) { Stop-Run 'this server does not use the certificates that are on record' ($next + 'new sheets.') }
    Stop-Run 'this server is in use, but the plan says that it is new' ($next + 'the renewal sheet.')
}

# ---- the run

function Select-Steps {
    # The stages that the switches ask for.
    $prepares = $Case -eq 'renew' -and $ServiceList -and -not ($Back -or $Verify -or $StartServices -or $DrainServices)
    $stages = @('trust', 'prepare', 'change', 'start', 'verify', 'back')
    if ($Prepare -or $prepares) { $stages = @('trust', 'prepare') }
    if ($StartsOnly) { $stages = @('start') }
    if ($TrustOnly) { $stages = @('trust') }
    $all | Where-Object { $stages -contains $_.Stage }
}
function Complete-Run {
    # Says what is left after the last step.
    $script:Current = $null
    if ($StartsOnly) { $script:Left += @(Get-Incomplete) }
    $stale = @(if (-not $Look -and -not $TrustOnly) { Get-Stale }) -join ', '
    $what = 'Services still use the previous certificate (' + $stale + ')'
    if ($stale) { $script:Left += $what + ': run this script with -DrainServices -StartServices.' }
    if ($Assumed.Values | Where-Object { $_.Answer -eq 'no' }) {
        $script:Left += 'The services stay stopped until you run this script with -StartServices.'
    }
    foreach ($name in @($Doubts | Where-Object { -not $Look })) {
        $wrong = Read-Checks $name
        if ($wrong.Answer -ne 'yes') { $script:Left += $wrong.Says + (Get-Evidence) }
    }
    $next = 'Run this script with ' + $(if ($Back) { '-Back ' }) + '-Verify, and send the run-... files to the planner.'
    if ($Look) { $next = 'Nothing was changed. Run the script without -WhatIf.' }
    if ($Look -and $Ended) { Stop-Run '' 'Nothing was changed. First complete the step.' 1 }
    Stop-Run '' $next $(if ($Left) { 2 } else { 0 })
}

$Thread = [Threading.Thread]::CurrentThread
$Culture = $Thread.CurrentCulture
# Regional settings change how a time or number is written and sorted. This script writes them in one way.
$Thread.CurrentCulture = [Globalization.CultureInfo]::InvariantCulture
$Asked = @{ 'DrainServices' = $DrainServices; 'StartServices' = $StartServices }
foreach ($step in @($Steps) + @($BackSteps)) { $step.Name = $step.Number + '. ' + $step.Title }
$all = @($(if ($Back) { $BackSteps } else { $Steps }))
$StartsOnly = $StartServices -and -not $DrainServices -and -not $Verify -and $ServiceList
try {
    if (-not $Look -and -not $Verify) {
        $path = $Folder + '\run-' + $Change + (Get-Date).ToString('-yyyyMMdd-HHmmss') + '.txt'
        try {
            Start-Transcript -Path $path | Out-Null
            $Transcript = $path
        }
        catch { Write-Doubt ('the script cannot record this run in a file: ' + $_.Exception.Message) }
    }
    Assert-Shell
    $Places = @(Expand-Places)
    if ($Report -and -not $Verify) { Stop-Run '-Report needs -Verify' 'Run the script with both.' }
    # A new server never starts without its certificates.
    if ($StartsOnly -and $Case -ne 'renew' -and -not (Test-Drained) -and (Get-Incomplete)) { $StartsOnly = $false }
    $chosen = @(Select-Steps)
    if ($Report) { Write-Report }
    if ($Verify) { Show-Facts }
    Assert-Console
    if ($Back -and -not $StartsOnly) { Assert-Return }
    if (-not $Back -and -not $StartsOnly -and -not $TrustOnly) { Assert-Case }
    foreach ($step in $chosen) { if (-not $Ended) { Invoke-Step $step } }
    Complete-Run
}
catch {
    $Found = $_.Exception.Message
    $Look = $false
    Stop-Run 'a command failed' 'Correct the problem, then run this script again: it continues with this step.'
}
finally {
    if (-not $Ended) { Write-Host 'The run was interrupted. Run the script again: it continues where it stopped.' }
    $Thread.CurrentCulture = $Culture
}
