#requires -Version 3.0
# Exports the published topology and the simple URLs for lyncnb. This script changes nothing.
# Run it in the Lync Server Management Shell or the Skype for Business Server Management Shell.
# Then use topology.xml in lyncnb, for example lyncnb plan topology.xml
$ErrorActionPreference = 'Stop'
$namespace = 'urn:lyncnb:topology-export:1'
$file = Join-Path -Path (Get-Location).ProviderPath -ChildPath 'topology.xml'
if (Test-Path -LiteralPath $file) { throw "$file already exists. Move the file to another folder, then try again." }

$topology = [xml](Get-CsTopology -AsXml)
$export = New-Object -TypeName System.Xml.XmlDocument
$root = $export.AppendChild($export.CreateElement('Export', $namespace))
[void]$root.AppendChild($export.ImportNode($topology.DocumentElement, $true))

# The published topology does not contain the simple URLs. For the URLs of a site, Identity is Site:NAME.
foreach ($configuration in Get-CsSimpleUrlConfiguration) {
    foreach ($url in $configuration.SimpleUrl) {
        $element = $root.AppendChild($export.CreateElement('SimpleUrl', $namespace))
        $element.SetAttribute('Identity', [string]$configuration.Identity)
        $element.SetAttribute('Component', [string]$url.Component)
        $element.SetAttribute('Domain', [string]$url.Domain)
        $element.SetAttribute('ActiveUrl', [string]$url.ActiveUrl)
    }
}
$export.Save($file)
Write-Output "written: $file"
