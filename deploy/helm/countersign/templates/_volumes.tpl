{{- define "countersign.volumes" -}}
- name: configuration
  configMap:
    name: {{ include "countersign.fullname" . }}
- name: secrets
  secret:
    secretName: {{ include "countersign.secretName" . }}
    defaultMode: 0440
    items:
    - key: {{ .Values.secrets.keys.masterKey }}
      path: master-key
    {{- with .Values.secrets.keys.issuerToken }}
    - key: {{ . }}
      path: issuer-token
    {{- end }}
{{- with include "countersign.redisVolume" . }}
- name: redis
  projected:
    defaultMode: 0440
    sources:
    {{- . | nindent 4 }}
{{- end }}
{{- range $name, $listener := include "countersign.listeners" . | fromJson }}
{{- if and $listener.open $listener.settings.tls.enabled }}
- name: tls-{{ $name }}
  projected:
    defaultMode: 0440
    sources:
    {{- include "countersign.tlsSources" (dict "root" $ "name" $name "tls" $listener.settings.tls) | nindent 4 }}
{{- end }}
{{- end }}
{{- include "countersign.dataVolume" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The volume of the embedded store; a claim of the StatefulSet needs no entry. */ -}}
{{- define "countersign.dataVolume" -}}
{{- if include "countersign.redis" . }}
{{- else if not .Values.persistence.enabled }}
- name: data
  emptyDir: {}
{{- else if .Values.persistence.existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim }}
{{- end }}
{{- end -}}

{{- define "countersign.tlsSources" -}}
- secret:
    name: {{ include "countersign.tlsSecret" . }}
    items:
    - { key: tls.crt, path: tls.crt }
    - { key: tls.key, path: tls.key }
    {{- if eq .name "api" }}
    - { key: ca.crt, path: ca.crt }
    {{- end }}
{{- if .tls.clientAuth }}
- secret:
    name: {{ default (include "countersign.tlsSecret" .) .tls.clientCa.secretName }}
    items:
    - { key: {{ .tls.clientCa.key }}, path: client-ca.crt }
{{- end }}
{{- end -}}

{{- /* The sources of the volume with the credentials and certificates for Redis; "" if there are none. */ -}}
{{- define "countersign.redisVolume" -}}
{{- $sources := list -}}
{{- with .Values.redis -}}
{{- range $prefix, $from := dict "" .credentials "sentinel_" .sentinelCredentials -}}
{{- if $from.secretName -}}
{{- $items := list (dict "key" $from.passwordKey "path" (printf "%spassword" $prefix)) -}}
{{- if $from.usernameKey }}{{ $items = append $items (dict "key" $from.usernameKey "path" (printf "%susername" $prefix)) }}{{ end -}}
{{- $sources = append $sources (dict "secret" (dict "name" $from.secretName "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- if .tls.caSecretName -}}
{{- $sources = append $sources (dict "secret" (dict "name" .tls.caSecretName "items" (list (dict "key" .tls.caKey "path" "ca.crt")))) -}}
{{- end -}}
{{- if .tls.certificateSecretName -}}
{{- $items := list (dict "key" "tls.crt" "path" "tls.crt") (dict "key" "tls.key" "path" "tls.key") -}}
{{- $sources = append $sources (dict "secret" (dict "name" .tls.certificateSecretName "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- if $sources }}{{ toYaml $sources }}{{ end -}}
{{- end -}}
