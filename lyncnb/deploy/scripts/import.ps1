#requires -Version 3.0
<#
.SYNOPSIS
    Imports and assigns the certificates that were requested in advance for this server.
.DESCRIPTION
    Run it on the server itself, in an elevated PowerShell. Run it with -WhatIf first: it says what
    it would do and changes nothing. Run again, it does only what is not done yet. It stops at the
    first error. It holds no password and no key; it asks for the password of each package.
.PARAMETER PackageFolder
    Where the packages (*.pfx) are. The folder of this script if left out.
.PARAMETER NotExportable
    Imports the keys so that they cannot leave this server again.
.PARAMETER Roll
    Keeps the present certificate in use until the date in the table below, for the usages that
    can be rolled over.
.PARAMETER StartServices
    Starts the Lync services when everything is assigned.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [string] $PackageFolder,
    [switch] $NotExportable,
    [switch] $Roll,
    [switch] $StartServices
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
if (-not $PackageFolder) {
    $PackageFolder = Split-Path -Parent $MyInvocation.MyCommand.Definition
}

# ---- what this script was made for; public values only
#LYNCNB-VALUES

function Write-Step {
    param([string] $Text)
    Write-Host ('* ' + $Text)
}

function Stop-Here {
    param([string] $What, [string] $Hint)
    throw ($What + [Environment]::NewLine + 'What to do: ' + $Hint)
}

function Assert-Server {
    # The package of another server would import, and every client would refuse it.
    $properties = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    $name = $properties.HostName
    if ($properties.DomainName) {
        $name = $name + '.' + $properties.DomainName
    }
    if ($name -ne $Server) {
        Stop-Here ('This computer is ' + $name + ', the script is for ' + $Server + '.') 'Run the script of this server. On an Edge Server outside the domain, set the primary DNS suffix first.'
    }
    $principal = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Here 'This PowerShell is not elevated.' 'Open PowerShell with Run as administrator.'
    }
}

function Open-Store {
    param([string] $Name)
    $store = New-Object Security.Cryptography.X509Certificates.X509Store ($Name, 'LocalMachine')
    $store.Open('ReadWrite')
    return $store
}

function Find-Certificate {
    param([string] $StoreName, [string] $Thumbprint)
    $store = Open-Store $StoreName
    try {
        foreach ($candidate in $store.Certificates) {
            if ($candidate.Thumbprint -eq $Thumbprint) {
                return $candidate
            }
        }
    }
    finally {
        $store.Close()
    }
    return $null
}

function Install-Chain {
    foreach ($entry in $Chain) {
        if (Find-Certificate $entry.Store $entry.Thumbprint) {
            Write-Step ('already in ' + $entry.Store + ': ' + $entry.Subject)
            continue
        }
        if ($PSCmdlet.ShouldProcess($entry.Subject, 'Install into LocalMachine\' + $entry.Store)) {
            $bytes = [Convert]::FromBase64String($entry.Der)
            $certificate = New-Object Security.Cryptography.X509Certificates.X509Certificate2 (,$bytes)
            $store = Open-Store $entry.Store
            try {
                $store.Add($certificate)
            }
            finally {
                $store.Close()
            }
            Write-Step ('installed into ' + $entry.Store + ': ' + $entry.Subject)
        }
    }
}

function Import-Package {
    param([hashtable] $Package)
    $present = Find-Certificate 'My' $Package.Thumbprint
    if ($present -and $present.HasPrivateKey) {
        Write-Step ('already imported: ' + $Package.FriendlyName)
        return
    }
    $path = Join-Path $PackageFolder $Package.File
    if (-not (Test-Path -LiteralPath $path)) {
        Stop-Here ('There is no file ' + $path + '.') 'Copy the package beside this script, or name its folder with -PackageFolder.'
    }
    if (-not $PSCmdlet.ShouldProcess($path, 'Import into LocalMachine\My')) {
        return
    }
    $password = Read-Host -AsSecureString ('Password of ' + $Package.File)
    # PersistKeySet and MachineKeySet: without them the key is gone when this PowerShell closes.
    [Security.Cryptography.X509Certificates.X509KeyStorageFlags] $flags = 'MachineKeySet, PersistKeySet'
    if (-not $NotExportable) {
        $flags = 'MachineKeySet, PersistKeySet, Exportable'
    }
    $certificate = New-Object Security.Cryptography.X509Certificates.X509Certificate2 ($path, $password, $flags)
    if ($certificate.Thumbprint -ne $Package.Thumbprint) {
        Stop-Here ('The package holds another certificate: ' + $certificate.Thumbprint + '.') 'Copy the package that belongs to this script.'
    }
    $certificate.FriendlyName = $Package.FriendlyName
    $store = Open-Store 'My'
    try {
        $store.Add($certificate)
    }
    finally {
        $store.Close()
    }
    Write-Step ('imported: ' + $Package.FriendlyName)
}

function Assert-Package {
    param([hashtable] $Package)
    $certificate = Find-Certificate 'My' $Package.Thumbprint
    if (-not $certificate) {
        if ($WhatIfPreference) {
            return
        }
        Stop-Here ('The certificate ' + $Package.Thumbprint + ' is not in LocalMachine\My.') 'Import it into the computer store, not into the user store.'
    }
    if (-not $certificate.HasPrivateKey) {
        Stop-Here ('The certificate ' + $Package.Thumbprint + ' has no private key here.') 'Remove it from the store and import the package again.'
    }
    # Lync does not take keys of a CNG key storage provider; assigning one fails with "The buffer
    # supplied to a function was too small".
    $told = (& certutil.exe -store My $Package.Thumbprint) -join ' '
    if ($told -match 'Key Storage Provider') {
        Stop-Here 'The key went into a key storage provider (CNG), which Lync cannot use.' ('Remove the certificate and run: certutil -csp "' + $Provider + '" -importpfx My <package> AT_KEYEXCHANGE')
    }
    $builder = New-Object Security.Cryptography.X509Certificates.X509Chain
    $builder.ChainPolicy.RevocationMode = 'NoCheck'
    if (-not $builder.Build($certificate)) {
        $why = ($builder.ChainStatus | ForEach-Object { $_.StatusInformation.Trim() }) -join '; '
        Stop-Here ('The chain of ' + $Package.FriendlyName + ' is not trusted here: ' + $why) 'Install the root and issuing CA certificates into the computer stores.'
    }
    Write-Step ('key, provider and chain are right: ' + $Package.FriendlyName)
}

function Set-Usage {
    param([hashtable] $Package, [hashtable] $Assignment)
    $wanted = @()
    foreach ($type in $Assignment.Types) {
        $present = @(Get-CsCertificate -Type $type -ErrorAction SilentlyContinue)
        foreach ($old in $present) {
            if ($old.Thumbprint -ne $Package.Thumbprint) {
                Write-Step ('way back for ' + $type + ': assign ' + $old.Thumbprint + ' again')
            }
        }
        if (-not ($present | Where-Object { $_.Thumbprint -eq $Package.Thumbprint })) {
            $wanted += $type
        }
    }
    if ($wanted.Count -eq 0) {
        Write-Step ('already assigned: ' + ($Assignment.Types -join ', '))
        return
    }
    $arguments = @{
        'Type' = $wanted
        'Thumbprint' = $Package.Thumbprint
    }
    if ($Assignment.Identity) {
        $arguments['Identity'] = $Assignment.Identity
    }
    if ($Roll -and $Assignment.EffectiveDate) {
        $arguments['Roll'] = $true
        $arguments['EffectiveDate'] = $Assignment.EffectiveDate
    }
    if ($PSCmdlet.ShouldProcess(($wanted -join ', '), 'Assign ' + $Package.Thumbprint)) {
        Set-CsCertificate @arguments
        Write-Step ('assigned: ' + ($wanted -join ', '))
    }
}

Assert-Server
Install-Chain
foreach ($package in $Packages) {
    Import-Package $package
    Assert-Package $package
}
if (@($Packages | Where-Object { $_.Assignments.Count -gt 0 }).Count -gt 0) {
    Import-Module Lync
}
foreach ($package in $Packages) {
    foreach ($assignment in $package.Assignments) {
        Set-Usage $package $assignment
    }
    if ($package.Assignments.Count -eq 0) {
        Write-Step ('to be bound by hand, see the checklist: ' + $package.FriendlyName)
    }
}
if ($StartServices -and $PSCmdlet.ShouldProcess($Server, 'Start the Lync services')) {
    Start-CsWindowsService
}
Write-Step 'Done. Look at the result: Get-CsCertificate | Select-Object Use, Thumbprint, Subject, NotAfter'
Write-Step 'Then delete the packages from this server: the key is in its store.'
