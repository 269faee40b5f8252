{{- /* Helm's toToml writes whole numbers of values as floats, which Countersign refuses. */ -}}
{{- define "countersign.tomlValue" -}}
{{- if kindIs "string" . -}}
{{ toJson . }}
{{- else if kindIs "slice" . -}}
[{{- range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "countersign.tomlValue" $item }}{{- end -}}]
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . }}
{{- else -}}
{{ toString . }}
{{- end -}}
{{- end -}}

{{- define "countersign.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ toJson . }}{{- end -}}
{{- end -}}

{{- /* "true" for an array of tables. */ -}}
{{- define "countersign.tomlTables" -}}
{{- if kindIs "slice" . -}}{{- if . -}}{{- if kindIs "map" (first .) -}}true{{- end -}}{{- end -}}{{- end -}}
{{- end -}}

{{- /* Renders `table` at `path`: its values first, because they would otherwise belong to the last section. */ -}}
{{- define "countersign.tomlTable" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (include "countersign.tomlTables" $value) (kindIs "invalid" $value)) }}
{{ include "countersign.tomlKey" $key }} = {{ include "countersign.tomlValue" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- $name := append $path (include "countersign.tomlKey" $key) -}}
{{- if kindIs "map" $value }}

[{{ join "." $name }}]
{{- include "countersign.tomlTable" (dict "path" $name "table" $value) -}}
{{- else if include "countersign.tomlTables" $value -}}
{{- range $value }}

[[{{ join "." $name }}]]
{{- include "countersign.tomlTable" (dict "path" $name "table" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
