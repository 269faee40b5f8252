{{- /* The listeners, by their name in the configuration, as JSON: the section of the values, its settings, the port, and the
names in its certificate. */ -}}
{{- define "countersign.listeners" -}}
{{- $full := include "countersign.fullname" . -}}
{{- $listeners := dict
  "check" (dict "values" "check" "settings" .Values.check "port" 50051 "open" true "service" $full)
  "api" (dict "values" "api" "settings" .Values.api "port" 50052 "open" .Values.api.expose "service" $full)
  "http" (dict "values" "issuing" "settings" .Values.issuing "port" 8080 "open" .Values.issuing.enabled "service" (printf "%s-issuing" $full))
  "ops" (dict "values" "ops" "settings" .Values.ops "port" 9090 "open" true "service" $full)
-}}
{{- $listeners | toJson -}}
{{- end -}}

{{- /* The Secret with the certificate of listener `name` and its values `tls`. */ -}}
{{- define "countersign.tlsSecret" -}}
{{- default (printf "%s-%s-tls" (include "countersign.fullname" .root) .name) .tls.secretName -}}
{{- end -}}

{{- /* "true" if clients of a listener with the values `tls` need a certificate. */ -}}
{{- define "countersign.mutualTls" -}}
{{- if and .enabled .clientAuth -}}true{{- end -}}
{{- end -}}
