# Servers for the walk: stores, assignments, services, replication and a clock, as functions with the
# names and parameters of the commands that the scripts call. Reads one case a line as JSON, runs the
# scripts that a planner gets, and writes one answer a line. It knows nothing of lyncnb's steps.
param([string] $Parameters, [switch] $CommandsOnly)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$global:World = $null
$global:TokenHours = @{ 'AudioVideoAuthentication' = 8; 'OAuthTokenIssuer' = 24 }

function global:Write-Harm {
    # Something that people would notice, though every command succeeded.
    param([string] $Text)
    $global:World.harm += $Text
}

function global:Get-Here { $global:World.servers[$global:World.here] }

function global:Get-Uses {
    # Where a scope keeps a usage: on the server, or for the deployment.
    param([string] $Scope, [string] $Usage)
    if ($Scope -eq 'global') { return $global:World.everywhere }
    return (Get-Here).uses
}

function global:Get-Certificate {
    param([string] $Thumbprint)
    Set-StrictMode -Off
    $Thumbprint = $Thumbprint.ToUpper()  # a store knows both cases
    $known = $global:World.certificates[$Thumbprint]
    $key = [pscustomobject]@{
        'Thumbprint' = $Thumbprint; 'FriendlyName' = $known.name; 'Subject' = $(if ($known.subject) { $known.subject } else { 'CN=' + $known.name })
        'Issuer' = $(if ($known.issuer) { $known.issuer } else { 'CN=' + $known.name })
        'NotBefore' = ([datetime]$known.begins).ToUniversalTime(); 'NotAfter' = ([datetime]$known.ends).ToUniversalTime()
        'RawData' = [Convert]::FromBase64String([string]$known.der)
        'HasPrivateKey' = (Get-Here).keys -contains $Thumbprint
        'PublicKey' = [pscustomobject]@{ 'Oid' = [pscustomobject]@{ 'Value' = $(if ((Get-Here)['elliptic'] -contains $Thumbprint) { '1.2.840.10045.2.1' } else { '1.2.840.113549.1.1.1' }) } }
    }
    $broken = (Get-Here).broken -contains $Thumbprint
    $key | Add-Member -MemberType ScriptProperty -Name PrivateKey -Value { if ($this.Broken) { throw 'Keyset does not exist' }; if ($this.HasPrivateKey) { 'key' } }
    $key | Add-Member -NotePropertyName Broken -NotePropertyValue $broken
    $key | Add-Member -MemberType ScriptMethod -Name GetNameInfo -Value { ($this.FriendlyName -replace '^old ', '' -split ' ')[0] }
    return $key
}

function global:Split-Cert { param([string] $Path) if ($Path -match '^Cert:\\LocalMachine\\(\w+)\\?(\w*)$') { $Matches[1].ToLower(); $Matches[2] } }

function global:Get-Pool {
    $pool = (Get-Here).pool
    $global:World.servers.Values | Where-Object { $_.pool -eq $pool }
}

function global:Get-PortShows {
    # What port 443 shows to a client that asks for a name: Web Application Proxy, IIS, or another product.
    param([string] $Name)
    foreach ($application in @((Get-Here)['applications'].Values)) { if ($application.url -like ('https://' + $Name + '/*')) { return $application.thumbprint } }
    foreach ($key in ('*:443:' + $Name), '*:443:') { if ((Get-Here)['bindings'][$key]) { return (Get-Here).bindings[$key] } }
    return (Get-Here)['listener']
}

function global:Get-Farm { @(Get-Pool | Where-Object { $_.farm }) }

function global:Assert-Culture {
    # The regional settings that the case asks for are those of the session, before and after the script.
    $name = [Globalization.CultureInfo]::CurrentCulture.Name
    if ($name -ne $global:World.culture) { throw ('The culture is ' + $name + ', not ' + $global:World.culture) }
}

# REPLICA and W3SVC run on every server: they say nothing about the product.
function global:Test-Running { param($Server) @($Server.services.Keys | Where-Object { $_ -notin 'REPLICA', 'W3SVC' -and $Server.services[$_].Status -eq 'Running' }).Count -gt 0 }
function global:Test-Replicates { param($Server) -not $Server.services.ContainsKey('REPLICA') -or $Server.services.REPLICA.Status -eq 'Running' }

function global:Update-World {
    # Let what waits for its date take over, and replication bring the deployment's certificate.
    foreach ($owner in @($global:World.servers.Values) + $global:World) {
        $uses = $(if ($owner.ContainsKey('everywhere')) { $owner.everywhere } else { $owner.uses })
        foreach ($usage in @($uses.Keys)) {
            $use = $uses[$usage]
            if ($use.since -and [datetime]$use.since -le $global:World.now) {
                $ends = ([datetime]$global:World.certificates[$use.current].ends).ToUniversalTime()
                if ($ends -lt ([datetime]$use.since).AddHours($global:TokenHours[$usage])) { Write-Harm ($usage + ': the old certificate ended before its tokens did') }
                $use.previous = $use.current; $use.current = $use.next; $use.next = ''; $use.since = $null
            }
        }
    }
}

# ---- what each command does; the page of each is in the list of parameters

$global:Effects = @{
    'Get-CsCertificate' = {
        param($p)
        if (-not (Get-Here).replica) { throw 'Cannot open the local store: it does not exist.' }
        $types = @($p['Type'])
        $global_only = [string]$p['Identity'] -eq 'global'
        $all = @{}
        if (-not $global_only) { foreach ($usage in (Get-Here).uses.Keys) { $all[$usage] = (Get-Here).uses[$usage] } }
        foreach ($usage in $global:World.everywhere.Keys) {
            if ($global_only -or -not $all[$usage]) { $all[$usage] = $global:World.everywhere[$usage] }
        }
        foreach ($usage in @($all.Keys | Sort-Object)) {
            if ($p.ContainsKey('Type') -and $types -notcontains $usage) { continue }
            $use = $all[$usage]
            $current = $use.current
            # Replication brings what was assigned for the deployment, while REPLICA runs here.
            if ($use['arrives'] -and ($global:World.now -lt [datetime]$use.arrives -or -not (Test-Replicates (Get-Here)))) { $current = $use.before }
            if (-not $current) { continue }
            $shown = @($current)
            # Both certificates may be rows, before the date and after it.
            if ($global:World.staged -eq 'row') { $shown += @($use.next, $use.previous) }
            # Or the row has the certificate that waits, and names the one in use as the previous one.
            $previous = $use.previous
            if ($global:World.staged -eq 'previous' -and $use.next) { $shown = @($use.next); $previous = $current }
            foreach ($thumbprint in @($shown | Where-Object { $_ } | Select-Object -Unique)) {
                $certificate = Get-Certificate $thumbprint
                [pscustomobject]@{
                    'Use' = $global:World.useform + $usage; 'Thumbprint' = $thumbprint; 'Subject' = $certificate.Subject
                    'NotAfter' = $certificate.NotAfter; 'AlternativeNames' = @($certificate.FriendlyName)
                    'Later' = $(if ($global:World.staged -eq 'property') { $use.next })
                    'PreviousThumbprint' = $(if ($global:World.staged -eq 'previous') { $previous })
                }
            }
        }
    }
    'Set-CsCertificate' = {
        param($p)
        if ((Get-Here).my -notcontains $p.Thumbprint) { throw ($p.Thumbprint + ' is not in the store of ' + (Get-Here).name) }
        if ((Get-Here).keys -notcontains $p.Thumbprint) { throw 'The certificate has no private key.' }
        if ((Get-Here).ksp -contains $p.Thumbprint) { throw 'The buffer supplied to a function was too small.' }
        if ($p.ContainsKey('Roll') -ne $p.ContainsKey('EffectiveDate')) { throw 'Roll and EffectiveDate go together.' }
        foreach ($usage in @($p.Type)) {
            $uses = Get-Uses ([string]$p['Identity']) $usage
            if (-not $uses[$usage]) { $uses[$usage] = @{ 'current' = ''; 'next' = ''; 'since' = $null; 'previous' = '' } }
            $use = $uses[$usage]
            if ($p.ContainsKey('Roll')) {
                if (-not $use.current) { throw ($usage + ' has nothing to roll over from.') }
                $since = ([datetime]$p.EffectiveDate).ToUniversalTime()
                if ($since -le $global:World.now) { throw 'The effective date is in the past.' }
                $use.next = $p.Thumbprint; $use.since = $since.ToString('o')
            }
            else {
                $hours = $global:TokenHours[$usage]
                if ($hours -and $use.current -and $use.current -ne $p.Thumbprint -and -not $use.next) {
                    if (([datetime]$global:World.certificates[$use.current].ends).ToUniversalTime() -gt $global:World.now.AddHours($hours)) { Write-Harm ($usage + ': tokens were cut off') }
                }
                if ($p['Identity'] -and $global:World['delay']) {
                    $use.before = $use.current
                    $use.arrives = $global:World.now.AddMinutes($global:World.delay)
                }
                $use.current = $p.Thumbprint; $use.next = ''; $use.since = $null; $use.previous = ''
            }
        }
    }
    'Remove-CsCertificate' = {
        param($p)
        foreach ($usage in @($p.Type)) {
            $use = (Get-Uses ([string]$p['Identity']) $usage)[$usage]
            if (-not $use) { continue }
            if ($p.ContainsKey('Previous')) { $use.previous = '' }
            else { $use.current = ''; $use.next = ''; $use.since = $null; $use.previous = '' }
        }
    }
    'Import-CsCertificate' = {
        param($p)
        if (-not (Test-Path -LiteralPath $p.Path)) { throw ($p.Path + ': no such file') }
        if ($p.Path -like '*.pfx' -and [string]$p['Password'] -ne 'right') { throw 'The specified network password is not correct.' }
        $thumbprint = [string](Microsoft.PowerShell.Management\Get-Content -LiteralPath $p.Path | Select-Object -First 1)
        if ($p.Path -like '*.cer' -and (Get-Here).pending -notcontains $thumbprint -and (Get-Here).keys -notcontains $thumbprint) { throw 'The key of the request is not on this computer.' }
        (Get-Here).my = @((Get-Here).my) + $thumbprint | Select-Object -Unique
        (Get-Here).keys = @((Get-Here).keys) + $thumbprint | Select-Object -Unique
        if ((Get-Here).toksp) { (Get-Here).ksp = @((Get-Here).ksp) + $thumbprint }
    }
    'Get-CsWindowsService' = {
        param($p)
        foreach ($name in @((Get-Here).services.Keys | Sort-Object)) {
            [pscustomobject]@{ 'Name' = $name; 'Status' = (Get-Here).services[$name].Status; 'ActivityLevel' = '' }
        }
    }
    'Stop-CsWindowsService' = {
        param($p)
        foreach ($service in @((Get-Here).services.Values)) { $service.Status = 'Stopped' }
        $pool = @(Get-Pool)
        if ($pool.Count -gt 1 -and -not @($pool | Where-Object { Test-Running $_ }).Count) { Write-Harm ('no server of ' + (Get-Here).pool + ' runs') }
    }
    'Start-CsWindowsService' = {
        param($p)
        foreach ($name in @((Get-Here).services.Keys)) {
            $service = (Get-Here).services[$name]
            if ($p['Name'] -and $p.Name -ne $name) { continue }
            if ($service.StartMode -eq 'Disabled' -or $service.Status -eq 'Running') { continue }
            $service.Status = 'Running'
            $service.Started = $global:World.now.ToString('o')
            $service.Loaded = @{}
            foreach ($usage in (Get-Here).uses.Keys) { $service.Loaded[$usage] = (Get-Here).uses[$usage].current }
        }
    }
    'Get-CsPoolUpgradeReadinessState' = {
        param($p)
        $ready = -not @(Get-Pool | Where-Object { $_.name -ne $global:World.here -and -not (Test-Running $_) }).Count
        $domains = if ($global:World['nodomain']) { } else { foreach ($server in @(Get-Pool)) { [pscustomobject]@{ 'Name' = 'UD:/' + $server.name; 'ReadyforUpgrade' = $ready -and -not $global:World['notready']; 'FrontEnds' = @($server.name) } } }
        [pscustomobject]@{ 'State' = $(if ($ready) { 'Ready' } else { 'Busy' }); 'UpgradeDomains' = @($domains) }
    }
    'Get-CsComputer' = {
        param($p)
        if ($p['Pool']) { Get-Pool | ForEach-Object { [pscustomobject]@{ 'Identity' = $_.name } } }
        else { [pscustomobject]@{ 'Identity' = $p.Identity } }
    }
    'Get-CsPoolFabricState' = {
        param($p)
        $down = @(Get-Pool | Where-Object { $_.name -ne $global:World.here -and -not (Test-Running $_) })
        if ($down.Count) { 'Replicas missing on ' + $down[0].name } else { 'Replicas: all' }
    }
    'Invoke-CsComputerFailOver' = {
        param($p)
        if (-not @(Get-Pool | Where-Object { $_.name -ne $global:World.here -and (Test-Running $_) }).Count) { throw 'No other server of the pool runs.' }
        foreach ($service in @((Get-Here).services.Values)) { $service.Status = 'Stopped'; $service.StartMode = 'Disabled' }
    }
    'Invoke-CsComputerFailBack' = {
        param($p)
        foreach ($name in @((Get-Here).services.Keys)) { if ($name -ne 'RTCXMPP') { (Get-Here).services[$name].StartMode = 'Auto' } }
        & $global:Effects['Start-CsWindowsService'] @{}
    }
    'Start-CsPool' = {
        param($p)
        if (-not $global:Person) { throw 'Start-CsPool is for a person.' }
        $here = $global:World.here
        foreach ($server in @(Get-Pool)) { $global:World.here = $server.name; & $global:Effects['Start-CsWindowsService'] @{} }
        $global:World.here = $here
    }
    'Request-CsCertificate' = {
        param($p)
        if (Test-Path -LiteralPath $p.Output) { throw ($p.Output + ' is there already.') }
        $lines = '-----BEGIN NEW CERTIFICATE REQUEST-----', 'MII=', '-----END NEW CERTIFICATE REQUEST-----'
        Microsoft.PowerShell.Management\Set-Content -LiteralPath $p.Output -Value $lines[0..((Get-Here).writes - 1)]
        (Get-Here).request = @((Get-Here).request) + @{ 'name' = $p.FriendlyName; 'exportable' = (Get-Here).exportable -and $p.PrivateKeyExportable }
    }
    'Get-CsTopology' = { param($p) $global:World.topology }
    'Get-CsSimpleUrlConfiguration' = {
        param($p)
        foreach ($url in $global:World.urls) {
            $found = [pscustomobject]@{ 'Component' = $url[1]; 'Domain' = $url[2]; 'ActiveUrl' = $url[3] }
            [pscustomobject]@{ 'Identity' = $url[0]; 'SimpleUrl' = @($found) }
        }
    }
    'Get-OfficeWebAppsFarm' = {
        param($p)
        if (-not (Get-Here).farm) { throw 'It does not appear that this machine is part of an Office Web Apps Server farm.' }
        $offloads = [bool](Get-Here)['offloads']
        [pscustomobject]@{ 'CertificateName' = $(if (-not $offloads) { (Get-Here).farm }); 'SSLOffloaded' = $offloads; 'Machines' = @(Get-Farm) }
    }
    'Set-OfficeWebAppsFarm' = {
        param($p)
        if (-not @((Get-Here).my | Where-Object { $global:World.certificates[$_].name -eq $p.CertificateName }).Count) { throw 'No certificate has this friendly name.' }
        if (-not $p['Force']) { throw 'A person is asked, and none is there.' }
        foreach ($server in @(Get-Farm)) {
            if (-not @($server.my | Where-Object { $global:World.certificates[$_].name -eq $p.CertificateName }).Count) { Write-Harm ($server.name + ' has no certificate of the name of its farm') }
            $server.farm = $p.CertificateName
        }
    }
    'New-OfficeWebAppsFarm' = { param($p) (Get-Here).farm = $p.CertificateName }
    'Get-UMService' = { param($p) [pscustomobject]@{ 'UMStartupMode' = (Get-Here).ummode } }
    'Set-UMService' = { param($p) (Get-Here).ummode = [string]$p.UMStartupMode }
    'Get-ExchangeServer' = { param($p) [pscustomobject]@{ 'AdminDisplayVersion' = 'Version ' + (Get-Here).exchangeversion + ' (Build 1.2)' } }
    'Get-SettingOverride' = {
        param($p)
        foreach ($override in @($global:World.overrides.Values)) {
            [pscustomobject]@{ 'Name' = $override.name; 'ComponentName' = 'OwaServer'; 'SectionName' = 'IMSettings'; 'Server' = @($override.server | Where-Object { $_ }); 'Parameters' = @($override.parameters) }
        }
    }
    'Set-SettingOverride' = {
        param($p)
        $override = $global:World.overrides[$p.Identity]
        if (-not $override) { throw 'There is no such override.' }
        $override.parameters = @($p.Parameters)
        $thumbprint = ($p.Parameters -match '^IMCertificateThumbprint=') -replace '.*=', ''
        foreach ($server in @($global:World.servers.Values | Where-Object { $_.exchangeversion })) {
            if ($override.server -and $server.name -notlike ($override.server + '.*')) { continue }
            if (@($server.my) -notcontains [string]$thumbprint) { Write-Harm ($server.name + ' has no certificate of its override') }
        }
    }
    'Get-ExchangeDiagnosticInfo' = {
        param($p)
        $override = $global:World.overrides.Values | Where-Object { -not $_.server -or (Get-Here).name -like ($_.server + '.*') } | Select-Object -First 1
        if ($p.Argument -eq 'Refresh') { (Get-Here).imread = [string]((@($override.parameters) -match '^IMCertificateThumbprint=') -replace '.*=', ''); return }
        '<Diagnostics><Components><VariantConfiguration><Configuration><OwaServer><IMSettings><IMCertificateThumbprint>' + (Get-Here).imread + '</IMCertificateThumbprint></IMSettings></OwaServer></Configuration></VariantConfiguration></Components></Diagnostics>'
    }
    'Get-WebBinding' = {
        param($p)
        foreach ($key in @((Get-Here).bindings.Keys | Sort-Object)) {
            $binding = [pscustomobject]@{ 'protocol' = 'https'; 'bindingInformation' = $key; 'certificateHash' = ((Get-Here).bindings[$key]).ToLower() }
            $binding | Add-Member -MemberType ScriptMethod -Name AddSslCertificate -Value { param($thumbprint, $store) Enter-Command 'AddSslCertificate' @{ 'Key' = $this.bindingInformation; 'Store' = $store; 'Thumbprint' = $thumbprint } }
            $binding
        }
    }
    'AddSslCertificate' = {
        param($p)
        if ($p.Store -ne 'My' -or (Get-Here).keys -notcontains $p.Thumbprint) { throw 'A specified logon session does not exist. It may already have been terminated.' }
        (Get-Here).bindings[$p.Key] = $p.Thumbprint
    }
    'Get-WebApplicationProxyApplication' = {
        param($p)
        foreach ($id in @((Get-Here).applications.Keys | Sort-Object)) {
            [pscustomobject]@{ 'ID' = $id; 'Name' = 'Application ' + $id; 'ExternalUrl' = (Get-Here).applications[$id].url; 'ExternalCertificateThumbprint' = (Get-Here).applications[$id].thumbprint }
        }
    }
    'Set-WebApplicationProxyApplication' = {
        param($p)
        if ((Get-Here).keys -notcontains $p.ExternalCertificateThumbprint) { throw 'The certificate has no private key on this server.' }
        (Get-Here).applications[[string]$p.ID].thumbprint = $p.ExternalCertificateThumbprint
    }
    'Get-UMCallRouterSettings' = { param($p) [pscustomobject]@{ 'UMStartupMode' = (Get-Here).routermode } }
    'Set-UMCallRouterSettings' = { param($p) (Get-Here).routermode = [string]$p.UMStartupMode }
    'Get-ExchangeCertificate' = {
        param($p)
        foreach ($thumbprint in @((Get-Here).my)) {
            if ($p['Thumbprint'] -and $p.Thumbprint -ne $thumbprint) { continue }
            $services = @((Get-Here).exchange.Keys | Where-Object { (Get-Here).exchange[$_] -eq $thumbprint }) -join ', '
            [pscustomobject]@{ 'Thumbprint' = $thumbprint; 'Services' = $(if ($services) { $services } else { 'None' }) }
        }
    }
    'Enable-ExchangeCertificate' = {
        param($p)
        if ((Get-Here).my -notcontains $p.Thumbprint) { throw 'The certificate is not in the store.' }
        foreach ($service in @($p.Services)) {
            if ($service -eq 'UM' -and (Get-Here).ummode -notin 'TLS', 'Dual') { throw 'UM does not start with TLS.' }
            if ($service -eq 'UMCallRouter' -and (Get-Here).routermode -notin 'TLS', 'Dual') { throw 'The call router does not start with TLS.' }
            if ($service -in 'IIS', 'SMTP') { Write-Harm ($service + ' moved to the certificate of voice mail') }
            (Get-Here).exchange[$service] = $p.Thumbprint
        }
    }
    'certutil' = {
        param($p)
        $words = @($p.Words)
        $verb = [string]($words | Where-Object { $_ -match '^-(addstore|store|verifystore|importpfx|exportPFX|dump)$' } | Select-Object -First 1)
        $at = [array]::IndexOf($words, $verb)
        if ($verb -eq '-addstore') {
            $thumbprint = [string](Microsoft.PowerShell.Management\Get-Content -LiteralPath $words[$at + 2] | Select-Object -First 1)
            $store = $(if ($words[$at + 1] -eq 'Root') { 'root' } else { 'ca' })
            if ((Get-Here).$store -notcontains $thumbprint) { (Get-Here).$store = @((Get-Here).$store) + $thumbprint }
        }
        elseif ($verb -eq '-importpfx') {
            $thumbprint = [string](Microsoft.PowerShell.Management\Get-Content -LiteralPath $words[$at + 2] | Select-Object -First 1)
            (Get-Here).my = @((Get-Here).my) + $thumbprint | Select-Object -Unique
            (Get-Here).keys = @((Get-Here).keys) + $thumbprint | Select-Object -Unique
            (Get-Here).ksp = @((Get-Here).ksp | Where-Object { $_ -ne $thumbprint })
            if ([string]$words[-1] -notmatch 'NoRoot') { Write-Harm ('the root of ' + $words[$at + 2] + ' was installed unasked') }
        }
        elseif ($verb -eq '-exportPFX') { Microsoft.PowerShell.Management\Set-Content -LiteralPath $words[$at + 3] -Value $words[$at + 2] }
        elseif ($verb -eq '-verifystore') {
            # Another language of Windows: only names of providers, error codes, and the exit status are known.
            $thumbprint = $words[$at + 2]
            $certificate = $(if ((Get-Here).my -contains $thumbprint) { Get-Certificate $thumbprint })
            $error_code = '0x80090011'
            if ($certificate) {
                $of_key = $(if ((Get-Here).ksp -contains $thumbprint) { 'Microsoft Software Key Storage Provider' } else { 'Microsoft RSA SChannel Cryptographic Provider' })
                '  Anbieter = ' + $of_key
                if ((Get-Here)['offline']) { 'FEHLER: 0x80092013 (-2146885613)' }
                if ($certificate.Broken -or -not $certificate.HasPrivateKey) { $error_code = '0x80090016' }
                elseif ($certificate.NotAfter -le $global:World.now -or $certificate.NotBefore -gt $global:World.now) { $error_code = '0x800b0101' }
                elseif (@((Get-Here).root).Count -eq 0) { $error_code = '0x800b0109' }
                else { $error_code = '' }
            }
            if ($error_code) { 'CertUtil: -verifystore: ' + $error_code }
            $global:LASTEXITCODE = $(if ($error_code) { -1 } else { 0 })
        }
    }
    'Get-CimInstance' = {
        param($p)
        $name = $p.Filter -replace "^Name='(.*)'$", '$1'
        $service = (Get-Here).services[$name]
        [pscustomobject]@{ 'Name' = $name; 'StartMode' = $service.StartMode; 'ServiceType' = $service.ServiceType; 'ProcessId' = [array]::IndexOf(@((Get-Here).services.Keys | Sort-Object), $name) + 1 }
    }
    'Get-Process' = {
        param($p)
        $name = @((Get-Here).services.Keys | Sort-Object)[$p.Id - 1]
        [pscustomobject]@{ 'StartTime' = ([datetime](Get-Here).services[$name].Started).ToUniversalTime() }
    }
    'Get-Content' = { param($p) Microsoft.PowerShell.Management\Get-Content @p }
    'Set-Content' = { param($p) Microsoft.PowerShell.Management\Set-Content @p }
    'Add-Content' = { param($p) Microsoft.PowerShell.Management\Add-Content @p }
    'Move-Item' = { param($p) Microsoft.PowerShell.Management\Move-Item @p }
    'Get-PfxCertificate' = {
        param($p)
        [pscustomobject]@{ 'Thumbprint' = [string](Microsoft.PowerShell.Management\Get-Content -LiteralPath $p.FilePath | Select-Object -First 1); 'Subject' = 'CN=CA' }
    }
}
# What changes something; all other commands read.
$global:Changing = 'Set-CsCertificate', 'Remove-CsCertificate', 'Import-CsCertificate', 'Stop-CsWindowsService', 'Start-CsWindowsService', 'Invoke-CsComputerFailOver', 'Invoke-CsComputerFailBack', 'Set-OfficeWebAppsFarm', 'New-OfficeWebAppsFarm', 'Set-UMService', 'Set-UMCallRouterSettings', 'Set-SettingOverride', 'Enable-ExchangeCertificate', 'certutil', 'Request-CsCertificate', 'AddSslCertificate', 'Set-WebApplicationProxyApplication'

function global:Enter-Command {
    # Runs a command, or the fault that the case asks for at its place.
    param([string] $Name, [hashtable] $Bound)
    Set-StrictMode -Off
    $global:World.calls += 1
    $words = $Name
    foreach ($key in @($Bound.Keys | Sort-Object)) { $words += $(if ($key -eq 'Words') { ' ' } else { ' -' + $key + ' ' }) + (@($Bound[$key]) -join ',') }
    if ($global:Changing -contains $Name -and $words -notmatch '^certutil +-(store|verifystore|dump)') { $global:World.changes += $words }
    $fault = $global:World.fault
    if ($fault -and -not $global:World.struck -and ($global:World.calls -eq $fault['at'] -or $Name -eq $fault['command'])) {
        $global:World.struck = $words
        if ($fault.kind -eq 'break') { throw [Management.Automation.PipelineStoppedException]::new() }
        if ($fault.kind -eq 'fail') { throw ($Name + ' failed as the case asks.') }
        if ($fault.kind -eq 'error') { Write-Error ($Name + ' wrote an error as the case asks.') -ErrorAction $(if ($Bound['ErrorAction']) { $Bound.ErrorAction } else { 'Continue' }); return }
        # Who writes a file gives no answer anyway: what was written is there.
        if ($fault.kind -eq 'nothing' -and $Name -notin 'Set-Content', 'Add-Content', 'Move-Item') { return }
    }
    & $global:Effects[$Name] $Bound
}

function global:Enter-File {
    # A command of Windows that reads or writes a file: a fault strikes it where the case says so.
    param([string] $Name, [hashtable] $Bound)
    if ($global:World.fault -and $global:World.fault['files']) { Enter-Command $Name $Bound } else { & $global:Effects[$Name] $Bound }
}

# ---- the commands themselves: a module, whose functions do not see the script's preferences

$types = @{ 'SwitchParameter' = '[switch]'; 'CertType[]' = '[string[]]'; 'String' = '[string]'; 'Boolean' = '[bool]'; 'DateTime' = '[datetime]'; 'Int32' = '[int]'; 'Guid' = '[string]' }
$known = Get-Content -Raw -LiteralPath $Parameters | ConvertFrom-Json -AsHashtable
$text = foreach ($name in $global:Effects.Keys) {
    if (-not $known[$name]) { continue }
    $list = foreach ($parameter in $known[$name].parameters.Keys) {
        $type = $types[[string]$known[$name].parameters[$parameter].type]
        $type + '$' + $parameter
    }
    "function global:$name { [CmdletBinding()] param(" + ($list -join ', ') + ") process { Enter-Command '$name' `$PSBoundParameters } }"
}
New-Module -ScriptBlock ([scriptblock]::Create($text -join "`n")) | Out-Null

# How wide the window is: a number that a case gives. Asking this computer takes a millisecond a line.
Update-TypeData -Force -TypeName System.Management.Automation.Internal.Host.InternalHostRawUserInterface -MemberType ScriptProperty -MemberName WindowSize -Value { @{ 'Width' = $global:Width } }

# What every Windows has, and this computer not.
New-Module -ScriptBlock {
    function global:certutil { Enter-Command 'certutil' @{ 'Words' = @($args | ForEach-Object { [string]$_ }) } }
    # Only the accounts that are granted can change the folder, and others cannot after the inheritance ends.
    function global:icacls {
        if ($args[0] -ne 'C:\certificates' -or $args -notcontains '/inheritance:r') { throw ('icacls ' + $args) }
        (Get-Here)['writers'] = @($args | Where-Object { $_ -match '^\*(S-[\d-]+):\(OI\)\(CI\)F$' } | ForEach-Object { $Matches[1] })
        'Successfully processed 1 files'
    }
    function global:whoami.exe { 'Mandatory Label\High Mandatory Level  Label  S-1-16-12288' }
    function global:Get-CimInstance { [CmdletBinding()] param([string] $ClassName, [string] $Filter) Enter-Command 'Get-CimInstance' $PSBoundParameters }
    function global:Get-Process { [CmdletBinding()] param([int] $Id) Enter-Command 'Get-Process' $PSBoundParameters }
    function global:Get-Acl {
        # Who may change a folder: administrators, Windows, and whoever the case adds.
        [CmdletBinding()] param([string] $LiteralPath)
        $list = [pscustomobject]@{}
        $list | Add-Member -PassThru -MemberType ScriptMethod -Name GetAccessRules -Value {
            foreach ($sid in @('S-1-5-18', 'S-1-5-32-544') + @((Get-Here)['writers'] | Where-Object { $_ })) {
                [pscustomobject]@{ 'IdentityReference' = $sid; 'AccessControlType' = 'Allow'; 'FileSystemRights' = 0x1301BF }
            }
        }
    }
    function global:Get-ItemProperty {
        [CmdletBinding()] param([string] $Path)
        $name, $domain = (Get-Here).name -split '\.', 2
        [pscustomobject]@{ 'Hostname' = $name; 'Domain' = $domain }
    }
    function global:Get-Date { $global:World.now }
    function global:Start-Sleep { [CmdletBinding()] param([int] $Seconds) $global:World.now = $global:World.now.AddSeconds($Seconds); Update-World }
    function global:Read-Host { [CmdletBinding()] param([switch] $AsSecureString, [string] $Prompt) ConvertTo-SecureString $global:World.password -AsPlainText -Force }
    function global:Get-Command {
        # A role that a server does not have has no commands there.
        [CmdletBinding()] param([string] $Name)
        if ($Name -eq 'Get-WebBinding' -and -not (Get-Here)['bindings'].Count) { return }
        if ($Name -eq 'Get-WebApplicationProxyApplication' -and -not (Get-Here)['applications'].Count) { return }
        if ($Name -eq 'Get-CsCertificate' -and -not (Get-Here).replica) { return }
        Microsoft.PowerShell.Core\Get-Command -Name $Name -ErrorAction SilentlyContinue
    }
    function global:Import-Module { [CmdletBinding()] param([string] $Name) }
    function global:Start-Transcript { [CmdletBinding()] param([string] $Path) Microsoft.PowerShell.Management\Set-Content -LiteralPath $Path -Value 'transcript'; $global:World.records = $true }
    # The transcript that a run did not start is the administrator's own.
    function global:Stop-Transcript { [CmdletBinding()] param() if (-not $global:World['records']) { $global:World.harm += 'the transcript of the administrator was stopped' }; $global:World.records = $false }
    function global:Get-Content { [CmdletBinding()] param([string] $LiteralPath, [string] $Encoding, [switch] $Raw) Enter-File 'Get-Content' $PSBoundParameters }
    function global:Set-Content { [CmdletBinding()] param([string] $LiteralPath, [string] $Encoding, [object[]] $Value) Enter-File 'Set-Content' $PSBoundParameters }
    function global:Add-Content { [CmdletBinding()] param([string] $LiteralPath, [string] $Encoding, [object[]] $Value) Enter-File 'Add-Content' $PSBoundParameters }
    function global:Move-Item { [CmdletBinding()] param([string] $LiteralPath, [string] $Destination, [switch] $Force) Enter-File 'Move-Item' $PSBoundParameters }
    function global:Get-PfxCertificate { [CmdletBinding()] param([string] $FilePath) Enter-File 'Get-PfxCertificate' $PSBoundParameters }
    function global:Test-Path {
        [CmdletBinding()] param([string] $LiteralPath)
        $store, $thumbprint = Split-Cert $LiteralPath
        if ($store) { return (@((Get-Here).$store) -contains $thumbprint) }
        Microsoft.PowerShell.Management\Test-Path -LiteralPath $LiteralPath
    }
    function global:Get-Item {
        [CmdletBinding()] param([string] $LiteralPath)
        $store, $thumbprint = Split-Cert $LiteralPath
        if (-not $store) { return (Microsoft.PowerShell.Management\Get-Item -LiteralPath $LiteralPath -ErrorAction Stop) }
        if (-not (Test-Path -LiteralPath $LiteralPath)) { Write-Error ("Cannot find path '" + $LiteralPath + "' because it does not exist."); return }
        Get-Certificate $thumbprint
    }
    function global:Remove-Item {
        [CmdletBinding()] param([string] $Path, [string] $LiteralPath, [switch] $DeleteKey)
        $store, $thumbprint = Split-Cert $Path
        if (-not $store) { return (Microsoft.PowerShell.Management\Remove-Item -LiteralPath $(if ($Path) { $Path } else { $LiteralPath })) }
        if (-not $DeleteKey) { Write-Harm ($thumbprint + ': its key stays on the disk') }
        if (@((Get-Here).uses.Values | Where-Object { $_.current -eq $thumbprint }).Count -and (Test-Running (Get-Here))) { Write-Harm ($thumbprint + ' is in use and was deleted') }
        (Get-Here).my = @((Get-Here).my | Where-Object { $_ -ne $thumbprint })
        (Get-Here).keys = @((Get-Here).keys | Where-Object { $_ -ne $thumbprint })
    }
    function global:Get-Service {
        [CmdletBinding()] param([string] $Name)
        if ((Get-Here).replica -and 'REPLICA' -like $Name) { [pscustomobject]@{ 'Name' = 'REPLICA'; 'Status' = 'Running' } }
        if ((Get-Here).routermode -and 'MSExchangeUMCR' -like $Name) { [pscustomobject]@{ 'Name' = 'MSExchangeUMCR'; 'Status' = 'Running' } }
    }
    # A restart changes nothing that the simulation knows of Exchange.
    function global:Restart-Service { [CmdletBinding()] param([Parameter(ValueFromPipeline)] $InputObject) process { } }
    function global:Get-ChildItem {
        [CmdletBinding()] param([Parameter(Position = 0)][string[]] $Path)
        foreach ($one in $Path) {
            $store = @(Split-Cert $one)[0]
            if (-not $store) { Microsoft.PowerShell.Management\Get-ChildItem -Path $one; continue }
            foreach ($thumbprint in @((Get-Here)[$store])) {
                if ($store -ne 'request') { Get-Certificate $thumbprint; continue }
                # A pending request: its key can be exported, or it cannot.
                $request = [pscustomobject]@{ 'FriendlyName' = $thumbprint.name; 'CanExport' = $thumbprint.exportable }
                $request | Add-Member -MemberType ScriptMethod -Name Export -Value { param($type, $password) if (-not $this.CanExport) { throw 'Key not valid for use in specified state.' }; 1, 2, 3 } -PassThru
            }
        }
    }
    function global:New-Object {
        [CmdletBinding()] param([Parameter(Position = 0)][string] $TypeName, [Parameter(Position = 1)][object[]] $ArgumentList, [Collections.IDictionary] $Property)
        if ($TypeName -like '*X509Chain') {
            $chain = [pscustomobject]@{ 'ChainPolicy' = ([pscustomobject]@{ 'RevocationMode' = '' }) }
            $chain | Add-Member -MemberType ScriptMethod -Name Build -Value { @((Get-Here).root).Count -gt 0 }
            return $chain
        }
        if ($TypeName -like '*TcpClient') {
            if (-not (Get-Here)['listener'] -and -not (Get-Here)['bindings'].Count -and -not (Get-Here)['applications'].Count) { throw 'No connection could be made because the target machine actively refused it.' }
            $client = [pscustomobject]@{}
            $client | Add-Member -MemberType ScriptMethod -Name GetStream -Value { 'stream' }
            $client | Add-Member -MemberType ScriptMethod -Name Close -Value { }
            return $client
        }
        if ($TypeName -like '*SslStream') {
            $shown = [pscustomobject]@{}
            $shown | Add-Member -MemberType ScriptMethod -Name GetCertHashString -Value { Get-PortShows $global:World['asked'] }
            $tls = [pscustomobject]@{ 'RemoteCertificate' = $shown }
            $tls | Add-Member -MemberType ScriptMethod -Name AuthenticateAsClient -Value { param($name) $global:World['asked'] = $name }
            return $tls
        }
        if ($TypeName -like '*X509Certificate2') {
            if ((Microsoft.PowerShell.Utility\New-Object Management.Automation.PSCredential 'x', $ArgumentList[1]).GetNetworkCredential().Password -ne 'right') { throw 'The specified network password is not correct.' }
            return ([pscustomobject]@{ 'Thumbprint' = [string](Microsoft.PowerShell.Management\Get-Content -LiteralPath $ArgumentList[0] | Select-Object -First 1) })
        }
        Microsoft.PowerShell.Utility\New-Object @PSBoundParameters
    }
} | Out-Null

if ($CommandsOnly) { return }

# ---- moves of a case

function Invoke-Run {
    # Runs a script as a planner gets it; what it prints, how it ends, and what it changed.
    param($Move)
    $global:World.here = $Move.run
    $global:World.calls = 0
    $global:World.changes = @()
    $global:World.harm = @()
    $global:World.struck = ''
    $global:Width = $(if ($Move['width']) { $Move.width } else { 80 })
    $global:World.fault = $Move['fault']
    $global:Person = [bool]$Move['person']  # Whether a person pastes a block.
    $global:World.password = $(if ($Move['password']) { $Move.password } else { 'right' })
    $env:PROCESSOR_ARCHITEW6432 = (Get-Here)['wow64']
    $env:ExchangeInstallPath = (Get-Here)['exchangepath']
    $env:COMPUTERNAME = ($Move.run -split '\.')[0]
    $switches = @{}
    foreach ($switch in @($Move['switches'])) { if ($switch) { $switches[$switch] = $true } }
    if ($Move['report']) { $switches['Report'] = $Move.report }
    $global:WalkSwitches = $switches
    $global:WalkScript = $Move.script
    $global:LASTEXITCODE = -1
    $powershell = [powershell]::Create('CurrentRunspace')
    if ($Move['otherhost']) { $powershell = Get-OtherHost }
    [void]$powershell.AddScript('Assert-Culture; & $global:WalkScript @global:WalkSwitches *>&1')
    # Commands that this computer does not have.
    $hidden = @($Move['without'] | Where-Object { $_ } | ForEach-Object { Microsoft.PowerShell.Management\Get-Item -LiteralPath "function:$_" })
    foreach ($function in $hidden) { Microsoft.PowerShell.Management\Remove-Item -LiteralPath "function:$($function.Name)" }
    $lines = @()
    $usual = [Threading.Thread]::CurrentThread.CurrentCulture
    [Threading.Thread]::CurrentThread.CurrentCulture = [Globalization.CultureInfo]::GetCultureInfo($global:World.culture)
    try { $lines = @($powershell.Invoke() | ForEach-Object { if ($_ -is [Management.Automation.ErrorRecord]) { 'ERROR: ' + $_ } else { [string]$_ } }) }
    catch { $lines = @('UNCAUGHT: ' + $_.Exception.InnerException.Message) }
    finally { if (-not $Move['otherhost']) { Assert-Culture }; [Threading.Thread]::CurrentThread.CurrentCulture = $usual }
    if ($Move['otherhost']) { $global:LASTEXITCODE = $powershell.Runspace.SessionStateProxy.GetVariable('LASTEXITCODE') }
    $powershell.Dispose()
    foreach ($function in $hidden) { Microsoft.PowerShell.Management\Set-Item -LiteralPath "function:global:$($function.Name)" -Value $function.ScriptBlock }
    Update-World
    $global:World.now = $global:World.now.AddMinutes(1)
    @{ 'code' = $(if ($global:World.struck -and $Move['fault'] -and $Move.fault.kind -eq 'break') { -2 } else { $global:LASTEXITCODE }); 'output' = $lines; 'calls' = $global:World.calls; 'changes' = $global:World.changes; 'harm' = $global:World.harm; 'struck' = $global:World.struck }
}

function Get-OtherHost {
    # A PowerShell whose host is no console, with the same world and the same drive.
    $other = [powershell]::Create()
    [void]$other.AddScript('param($file, $parameters) . $file -Parameters $parameters -CommandsOnly').AddArgument($PSCommandPath).AddArgument($Parameters).Invoke()
    $other.Commands.Clear()
    $root = (Get-PSDrive -Name C).Root
    [void]$other.AddScript('param($root, $world, $script, $switches) New-PSDrive -Name C -PSProvider FileSystem -Root $root -Scope Global | Out-Null; $global:World = $world; $global:WalkScript = $script; $global:WalkSwitches = $switches')
    [void]$other.AddArgument($root).AddArgument($global:World).AddArgument($global:WalkScript).AddArgument($global:WalkSwitches).Invoke()
    $other.Commands.Clear()
    return $other
}

function Use-Drive {
    param([string] $Server)
    if (Get-PSDrive -Name C -ErrorAction SilentlyContinue) { Remove-PSDrive -Name C -Scope Global -Force }
    $root = Join-Path $script:Place $Server
    foreach ($folder in 'certificates/chain', 'exchange/ClientAccess/Owa') {
        if (-not [IO.Directory]::Exists("$root/$folder")) { [void][IO.Directory]::CreateDirectory("$root/$folder") }
    }
    New-PSDrive -Name C -PSProvider FileSystem -Root $root -Scope Global | Out-Null
    return $root
}

function Read-Syntax {
    # What PowerShell's own parser says of a text: errors, kinds of syntax, commands, members.
    param([string] $Text)
    $tokens = $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseInput($Text, [ref]$tokens, [ref]$errors)
    # A set takes every node, once; a script block that says so would take half a second.
    $nodes = [Collections.Generic.HashSet[Management.Automation.Language.Ast]]::new()
    $every = [Func[Management.Automation.Language.Ast, bool]]$nodes.Add
    $kinds = @{}; $commands = @()
    $members = [Collections.Generic.HashSet[string]]::new()
    $operators = [Collections.Generic.HashSet[string]]::new()
    foreach ($token in $tokens) { [void]$operators.Add($token.Kind) }
    foreach ($node in $tree.FindAll($every, $true)) {
        $kind = $node.GetType().Name
        $kinds[$kind] += 1
        if ($kind -like '*MemberExpressionAst') { [void]$members.Add([string]$node.Member) }
        if ($kind -ne 'CommandAst') { continue }
        $commands += , @(foreach ($element in $node.CommandElements) {
            if ($element -is [Management.Automation.Language.CommandParameterAst]) {
                @{ 'parameter' = '-' + $element.ParameterName; 'text' = [string]$element.Argument }
            }
            else { @{ 'parameter' = ''; 'text' = $element.Extent.Text } }
        })
    }
    @{
        'errors' = @($errors | ForEach-Object { $_.Message }); 'kinds' = $kinds; 'commands' = $commands
        'operators' = @($operators); 'members' = @($members)
    }
}

function Invoke-Move {
    param($Move)
    if ($Move.ContainsKey('parse')) { return , @($Move.parse | ForEach-Object { Read-Syntax $_ }) }
    if ($Move.ContainsKey('literals')) {
        # Each is evaluated by itself; the answer is what PowerShell takes it for.
        return , @($Move.literals | ForEach-Object { [string](& ([scriptblock]::Create($_))) })
    }
    if ($Move['culture']) {
        # How a culture writes what differs between the cultures of the tests.
        $culture = [Globalization.CultureInfo]::GetCultureInfo($Move.culture)
        return , @(([datetime]'2026-11-24T13:02:03').ToString('yyyy-MM-ddTHH:mm:ss', $culture), $culture.TextInfo.ToUpper('i'), $culture.DateTimeFormat.AMDesignator)
    }
    if ($Move['run']) {
        $root = Use-Drive $Move.run
        # An export is written where the person is.
        Set-Location -LiteralPath $(if ($Move['there']) { "$root/certificates" } else { '/' })
        return (Invoke-Run $Move)
    }
    if ($Move['write']) {
        # Files on a server: packages, CA certificates, web.config, a record that somebody spoiled.
        $root = Use-Drive $Move.write
        foreach ($name in $Move.files.Keys) { [IO.File]::WriteAllText("$root/$name", $Move.files[$name]) }
        return $null
    }
    if ($Move['lock']) {
        # Another program has a file open, and lets nobody else read it.
        $root = Use-Drive $Move.lock
        $script:Locked = [IO.File]::Open("$root/certificates/$($Move.name)", 'Open', 'ReadWrite', 'None')
        return $null
    }
    if ($Move['unlock']) { $script:Locked.Dispose(); return $null }
    if ($Move['remove']) {
        $root = Use-Drive $Move.remove
        [IO.File]::Delete("$root/certificates/$($Move.name)")
        return $null
    }
    if ($Move['read']) {
        $root = Use-Drive $Move.read
        if ($Move['name']) { return [IO.File]::ReadAllText("$root/" + $Move.name) }
        $found = @{}
        foreach ($file in [IO.Directory]::GetFiles("$root/certificates")) { $found[[IO.Path]::GetFileName($file)] = [IO.File]::ReadAllText($file) }
        return $found
    }
    if ($Move['set']) {
        foreach ($key in $Move.values.Keys) { $global:World.servers[$Move.set][$key] = $Move.values[$key] }
        return $null
    }
    if ($Move['save']) {
        # What is now, and the files of every server, can come back.
        $script:Saved = ConvertTo-Json -InputObject $global:World -Depth 8 -Compress
        if ([IO.Directory]::Exists($script:Place + '-saved')) { [IO.Directory]::Delete($script:Place + '-saved', $true) }
        Copy-Item -Recurse -LiteralPath $script:Place -Destination ($script:Place + '-saved')
        return $null
    }
    if ($Move['restore']) {
        Set-World ($script:Saved | ConvertFrom-Json -AsHashtable)
        [IO.Directory]::Delete($script:Place, $true)
        Copy-Item -Recurse -LiteralPath ($script:Place + '-saved') -Destination $script:Place
        return $null
    }
    if ($Move['now']) {
        $global:World.now = ([datetime]$Move.now).ToUniversalTime()
        Update-World
        return $null
    }
    return @{ 'servers' = $global:World.servers; 'everywhere' = $global:World.everywhere; 'overrides' = $global:World.overrides; 'now' = $global:World.now.ToString('o') }
}

function Set-World {
    param([hashtable] $Value)
    $global:World = $Value
    $global:World.now = ([datetime]$Value.now).ToUniversalTime()
    $global:World.harm = @(); $global:World.calls = 0; $global:World.here = ''
}

$number = 0
while ($null -ne ($line = [Console]::In.ReadLine())) {
    if (-not $line.StartsWith('{')) { continue }  # an answer that no script asked for
    $case = $line | ConvertFrom-Json -AsHashtable
    if ($case['world']) {
        $number += 1
        $script:Place = Join-Path $case.place "world$number"
        Set-World $case.world
    }
    try { $answers = @($case.moves | ForEach-Object { , (Invoke-Move $_) }) }
    catch { $answers = @{ 'error' = [string]$_ + ' ' + $_.ScriptStackTrace } }
    [Console]::Out.WriteLine('ANSWER ' + (ConvertTo-Json -InputObject $answers -Depth 8 -Compress))
}
