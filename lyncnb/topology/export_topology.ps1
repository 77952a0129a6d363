#requires -Version 3.0
# Exports the published topology and the simple URLs for lyncnb. Reads; changes nothing.
# Run it in the Lync Server Management Shell (or Skype for Business Server's), then hand
# topology.xml to lyncnb, e.g. lyncnb plan topology.xml
$ErrorActionPreference = 'Stop'
$namespace = 'urn:lyncnb:topology-export:1'
$file = Join-Path -Path (Get-Location).ProviderPath -ChildPath 'topology.xml'
if (Test-Path -LiteralPath $file) { throw "$file is there already: move it away first" }

$topology = [xml](Get-CsTopology -AsXml)
$export = New-Object -TypeName System.Xml.XmlDocument
$root = $export.AppendChild($export.CreateElement('Export', $namespace))
[void]$root.AppendChild($export.ImportNode($topology.DocumentElement, $true))

# The published topology does not hold them. A site may have its own: Identity is Site:NAME.
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
