{{- /* The template of the pods. */ -}}
{{- define "countersign.pod" -}}
metadata:
  labels:
    {{- include "countersign.commonLabels" . | nindent 4 }}
    {{- include "countersign.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.restartOnConfigChange .Values.podAnnotations }}
  annotations:
    {{- if .Values.restartOnConfigChange }}
    checksum/config: {{ include "countersign.configuration" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "countersign.serviceAccountName" . }}
  # Countersign does not call the Kubernetes API.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Longer than shutdown.delay plus shutdown.timeout.
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
  {{- include "countersign.container" . | nindent 2 }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  volumes:
  {{- include "countersign.volumes" . | nindent 2 }}
  {{- include "countersign.scheduling" . | nindent 2 }}
{{- end -}}

{{- define "countersign.container" -}}
- name: countersign
  image: {{ include "countersign.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: ["serve", "--config", "/etc/countersign/countersign.toml"]
  env:
  {{- include "countersign.env" . | nindent 2 }}
  {{- with .Values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
  - name: grpc
    containerPort: 50051
  {{- if .Values.api.expose }}
  - name: api
    containerPort: 50052
  {{- end }}
  {{- if .Values.issuing.enabled }}
  - name: http
    containerPort: 8080
  {{- end }}
  - name: ops
    containerPort: 9090
  startupProbe:
    {{- include "countersign.probe" (dict "root" . "path" "/livez" "settings" .Values.startupProbe) | nindent 4 }}
  readinessProbe:
    {{- include "countersign.probe" (dict "root" . "path" "/readyz" "settings" .Values.readinessProbe) | nindent 4 }}
  # Liveness does not depend on the store, because restarting a pod would not restore Redis.
  livenessProbe:
    {{- include "countersign.probe" (dict "root" . "path" "/livez" "settings" .Values.livenessProbe) | nindent 4 }}
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
  - name: configuration
    mountPath: /etc/countersign
    readOnly: true
  - name: secrets
    mountPath: /secrets/countersign
    readOnly: true
  {{- if include "countersign.redisVolume" . }}
  - name: redis
    mountPath: /secrets/redis
    readOnly: true
  {{- end }}
  {{- range $name, $listener := include "countersign.listeners" . | fromJson }}
  {{- if and $listener.open $listener.settings.tls.enabled }}
  - name: tls-{{ $name }}
    mountPath: /secrets/tls/{{ $name }}
    readOnly: true
  {{- end }}
  {{- end }}
  {{- if not (include "countersign.redis" .) }}
  # Countersign creates a directory in the volume, because other users may write to the volume itself.
  - name: data
    mountPath: /data
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "countersign.probe" -}}
httpGet:
  path: {{ .path }}
  port: ops
  {{- if .root.Values.ops.tls.enabled }}
  scheme: HTTPS
  {{- end }}
{{ toYaml .settings }}
{{- end -}}

{{- define "countersign.env" -}}
# One token for all replicas. A file in the data directory would be a new token for each.
- name: COUNTERSIGN_ADMIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "countersign.secretName" . }}
      key: {{ .Values.secrets.keys.adminToken }}
{{- with .Values.redis.urlSecret }}
{{- if .name }}
- name: COUNTERSIGN_STORE__URL
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- if and .Values.api.expose .Values.api.tls.enabled }}
# For `kubectl exec`, so that commands need no options.
- name: COUNTERSIGN_SERVER
  value: https://localhost:50052
- name: COUNTERSIGN_CA
  value: /secrets/tls/api/ca.crt
{{- if and .Values.api.tls.clientAuth (not .Values.api.tls.secretName) }}
- name: COUNTERSIGN_CLIENT_CERTIFICATE
  value: /secrets/tls/api/tls.crt
- name: COUNTERSIGN_CLIENT_KEY
  value: /secrets/tls/api/tls.key
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "countersign.scheduling" -}}
{{- $selector := dict "matchLabels" (include "countersign.selectorLabels" . | fromYaml) -}}
{{- $pod := dict -}}
{{- if .Values.affinity -}}
{{- $_ := set $pod "affinity" .Values.affinity -}}
{{- else if include "countersign.redis" . -}}
{{- $term := dict "labelSelector" $selector "topologyKey" "kubernetes.io/hostname" -}}
{{- if eq .Values.spread.nodes "require" -}}
{{- $_ := set $pod "affinity" (dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term))) -}}
{{- else if eq .Values.spread.nodes "prefer" -}}
{{- $_ := set $pod "affinity" (dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term)))) -}}
{{- end -}}
{{- end -}}
{{- if .Values.topologySpreadConstraints -}}
{{- $_ := set $pod "topologySpreadConstraints" .Values.topologySpreadConstraints -}}
{{- else if and (include "countersign.redis" .) (ne .Values.spread.zones "none") -}}
{{- $unsatisfiable := ternary "DoNotSchedule" "ScheduleAnyway" (eq .Values.spread.zones "require") -}}
{{- $_ := set $pod "topologySpreadConstraints" (list (dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" $unsatisfiable "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash"))) -}}
{{- end -}}
{{- range $key := list "nodeSelector" "tolerations" "priorityClassName" "runtimeClassName" "dnsConfig" -}}
{{- with get $.Values $key }}{{ $_ := set $pod $key . }}{{ end -}}
{{- end -}}
{{- if $pod }}{{ toYaml $pod }}{{ end -}}
{{- end -}}
