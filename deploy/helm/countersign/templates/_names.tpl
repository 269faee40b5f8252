{{- define "countersign.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 51 characters, so that the suffixes of Services fit. */ -}}
{{- define "countersign.fullname" -}}
{{- $name := include "countersign.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 51 | trimSuffix "-" -}}
{{- end -}}

{{- define "countersign.selectorLabels" -}}
app.kubernetes.io/name: {{ include "countersign.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "countersign.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "countersign.commonLabels" . }}
{{ include "countersign.selectorLabels" . }}
{{- end -}}

{{- define "countersign.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Not the labels of the selectors: the pod of the test serves nothing. */ -}}
{{- define "countersign.testLabels" -}}
{{ include "countersign.commonLabels" . }}
app.kubernetes.io/name: {{ include "countersign.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "countersign.serviceAccountName" -}}
{{- default (ternary (include "countersign.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "countersign.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "countersign.secretName" -}}
{{- default (include "countersign.fullname" .) .Values.secrets.existingSecret -}}
{{- end -}}

{{- /* Each of these is "true" or "". */ -}}
{{- define "countersign.redis" -}}
{{- if or .Values.redis.url .Values.redis.urlSecret.name -}}true{{- end -}}
{{- end -}}

{{- define "countersign.severalReplicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.minReplicas) 1 -}}true{{- end -}}
{{- else if gt (int .Values.replicaCount) 1 -}}true{{- end -}}
{{- end -}}

{{- /* The test calls the check port, for which it needs a certificate if clients must have one. */ -}}
{{- define "countersign.testClientSecret" -}}
{{- default (ternary (printf "%s-client-tls" (include "countersign.fullname" .)) "" .Values.certManager.enabled) .Values.tests.clientSecretName -}}
{{- end -}}
