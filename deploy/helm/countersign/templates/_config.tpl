{{- /* The configuration of the values as a map; `config` is a map or the text of a TOML file. */ -}}
{{- define "countersign.userConfig" -}}
{{- if kindIs "string" .Values.config -}}
{{- $parsed := fromToml .Values.config -}}
{{- with $parsed.Error }}{{ fail (printf "config: the text is not TOML: %s" .) }}{{ end -}}
{{- $parsed | toJson -}}
{{- else -}}
{{- .Values.config | toJson -}}
{{- end -}}
{{- end -}}

{{- /* The keys that the chart sets itself, and the value that decides each; "" if none does. */ -}}
{{- define "countersign.ownedKeys" -}}
data_dir: ""
store.url: redis.url
store.master_key_file: secrets
store.username_file: redis.credentials
store.password_file: redis.credentials
store.sentinel_username_file: redis.sentinelCredentials
store.sentinel_password_file: redis.sentinelCredentials
store.tls: redis.tls
check.listen: ""
check.insecure_plaintext: check.plaintext
check.tls: check.tls
api.listen: api.expose
api.insecure_plaintext: api.plaintext
api.issuer_token_file: secrets.keys.issuerToken
api.tls: api.tls
http.listen: issuing.enabled
http.insecure_plaintext: issuing.plaintext
http.tls: issuing.tls
ops.listen: ""
ops.tls: ops.tls
{{- end -}}

{{- define "countersign.storeConfig" -}}
{{- $store := dict "master_key_file" "/secrets/countersign/master-key" -}}
{{- with .Values.redis -}}
{{- if .url }}{{ $_ := set $store "url" .url }}{{ end -}}
{{- range $prefix, $from := dict "" .credentials "sentinel_" .sentinelCredentials -}}
{{- if $from.secretName -}}
{{- $_ := set $store (printf "%spassword_file" $prefix) (printf "/secrets/redis/%spassword" $prefix) -}}
{{- if $from.usernameKey }}{{ $_ := set $store (printf "%susername_file" $prefix) (printf "/secrets/redis/%susername" $prefix) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $tls := dict -}}
{{- if .tls.caSecretName }}{{ $_ := set $tls "ca_file" "/secrets/redis/ca.crt" }}{{ end -}}
{{- if .tls.certificateSecretName -}}
{{- $_ := set $tls "certificate_file" "/secrets/redis/tls.crt" -}}
{{- $_ := set $tls "key_file" "/secrets/redis/tls.key" -}}
{{- end -}}
{{- if $tls }}{{ $_ := set $store "tls" $tls }}{{ end -}}
{{- end -}}
{{- $store | toJson -}}
{{- end -}}

{{- define "countersign.listenerConfig" -}}
{{- $section := dict -}}
{{- if .listener.open }}{{ $_ := set $section "listen" (printf "0.0.0.0:%d" (int .listener.port)) }}{{ end -}}
{{- if and .listener.open .listener.settings.plaintext }}{{ $_ := set $section "insecure_plaintext" true }}{{ end -}}
{{- with .listener.settings.tls -}}
{{- if and .enabled $.listener.open -}}
{{- $directory := printf "/secrets/tls/%s" $.name -}}
{{- $tls := dict "certificate_file" (printf "%s/tls.crt" $directory) "key_file" (printf "%s/tls.key" $directory) -}}
{{- if .clientAuth }}{{ $_ := set $tls "client_ca_file" (printf "%s/client-ca.crt" $directory) }}{{ end -}}
{{- $_ := set $section "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- $section | toJson -}}
{{- end -}}

{{- /* The content of the configuration file. */ -}}
{{- define "countersign.configuration" -}}
{{- $config := dict "log" (dict "json" true) "store" (include "countersign.storeConfig" . | fromJson) -}}
{{- if not (include "countersign.redis" .) }}{{ $_ := set $config "data_dir" "/data/countersign" }}{{ end -}}
{{- range $name, $listener := include "countersign.listeners" . | fromJson -}}
{{- $_ := set $config $name (include "countersign.listenerConfig" (dict "name" $name "listener" $listener) | fromJson) -}}
{{- end -}}
{{- if .Values.secrets.keys.issuerToken }}{{ $_ := set $config.api "issuer_token_file" "/secrets/countersign/issuer-token" }}{{ end -}}
{{- $config = mergeOverwrite $config (include "countersign.userConfig" . | fromJson) -}}
{{- range $name, $section := $config -}}
{{- if and (kindIs "map" $section) (not $section) }}{{ $config = omit $config $name }}{{ end -}}
{{- end -}}
{{- include "countersign.tomlTable" (dict "path" list "table" $config) | trim -}}
{{- end -}}
