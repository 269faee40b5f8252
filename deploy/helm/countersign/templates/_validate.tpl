{{- /* Refuses values that contradict each other, all at once, each with its name. */ -}}
{{- define "countersign.validate" -}}
{{- $mistakes := concat
  (include "countersign.configMistakes" . | fromJsonArray)
  (include "countersign.storeMistakes" . | fromJsonArray)
  (include "countersign.listenerMistakes" . | fromJsonArray)
  (include "countersign.policyMistakes" . | fromJsonArray)
-}}
{{- if $mistakes }}{{ fail (printf "\n\n- %s\n" (join "\n- " $mistakes)) }}{{ end -}}
{{- end -}}

{{- define "countersign.configMistakes" -}}
{{- $mistakes := list -}}
{{- $config := include "countersign.userConfig" . | fromJson -}}
{{- range $key, $instead := include "countersign.ownedKeys" . | fromYaml -}}
{{- $parts := splitList "." $key -}}
{{- $section := $config -}}
{{- if eq (len $parts) 2 }}{{ $section = get $config (first $parts) }}{{ end -}}
{{- if kindIs "map" $section -}}
{{- if hasKey $section (last $parts) -}}
{{- $mistakes = append $mistakes (printf "config.%s: the chart sets this key; %s" $key (ternary (printf "set the value %s instead" $instead) "remove it" (ne $instead ""))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $mistakes | toJson -}}
{{- end -}}

{{- define "countersign.storeMistakes" -}}
{{- $mistakes := list -}}
{{- with .Values -}}
{{- if contains "@" .redis.url -}}
{{- $mistakes = append $mistakes "redis.url: has credentials, which everybody can read in the ConfigMap; put the URL into a Secret and name it in redis.urlSecret.name" -}}
{{- end -}}
{{- if and .redis.url .redis.urlSecret.name -}}
{{- $mistakes = append $mistakes "redis.url: redis.urlSecret.name is set too; set one of them" -}}
{{- end -}}
{{- if not (include "countersign.redis" $) -}}
{{- range $name, $secret := dict "redis.credentials.secretName" .redis.credentials.secretName "redis.sentinelCredentials.secretName" .redis.sentinelCredentials.secretName "redis.tls.caSecretName" .redis.tls.caSecretName "redis.tls.certificateSecretName" .redis.tls.certificateSecretName -}}
{{- if $secret }}{{ $mistakes = append $mistakes (printf "%s: needs redis.url or redis.urlSecret.name" $name) }}{{ end -}}
{{- end -}}
{{- if gt (int .replicaCount) 1 -}}
{{- $mistakes = append $mistakes (printf "replicaCount: is %d, but one replica can use the embedded store; set redis.url or redis.urlSecret.name" (int .replicaCount)) -}}
{{- end -}}
{{- if .autoscaling.enabled -}}
{{- $mistakes = append $mistakes "autoscaling.enabled: one replica can use the embedded store; set redis.url or redis.urlSecret.name" -}}
{{- end -}}
{{- end -}}
{{- if and .autoscaling.enabled (gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) -}}
{{- $mistakes = append $mistakes "autoscaling.minReplicas: is greater than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and .secrets.adminToken (not (regexMatch "^[!-~]{16,255}$" .secrets.adminToken)) -}}
{{- $mistakes = append $mistakes "secrets.adminToken: must have 16 to 255 visible ASCII characters" -}}
{{- end -}}
{{- if and .secrets.masterKey (not (regexMatch "^([A-Za-z0-9_-]{1,32}:[A-Za-z0-9+/]{43}=\\s*)+$" .secrets.masterKey)) -}}
{{- $mistakes = append $mistakes "secrets.masterKey: must be lines of `countersign keygen`" -}}
{{- end -}}
{{- if and .secrets.existingSecret (or .secrets.masterKey .secrets.adminToken) -}}
{{- $mistakes = append $mistakes "secrets.existingSecret: secrets.masterKey or secrets.adminToken is set too; set one of them" -}}
{{- end -}}
{{- if and .secrets.keys.issuerToken (not .secrets.existingSecret) -}}
{{- $mistakes = append $mistakes "secrets.keys.issuerToken: needs secrets.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- $mistakes | toJson -}}
{{- end -}}

{{- define "countersign.listenerMistakes" -}}
{{- $mistakes := list -}}
{{- range $name, $listener := include "countersign.listeners" . | fromJson -}}
{{- with $listener.settings.tls -}}
{{- if and .enabled $listener.open (not .secretName) (not $.Values.certManager.enabled) -}}
{{- $mistakes = append $mistakes (printf "%s.tls.secretName: is empty; name a Secret with the certificate, or set certManager.enabled" $listener.values) -}}
{{- end -}}
{{- if and .enabled (not $listener.open) -}}
{{- $mistakes = append $mistakes (printf "%s.tls.enabled: the listener is closed; set %s" $listener.values (ternary "api.expose" "issuing.enabled" (eq $name "api"))) -}}
{{- end -}}
{{- if and .enabled $listener.settings.plaintext -}}
{{- $mistakes = append $mistakes (printf "%s.plaintext: %s.tls.enabled is set too; set one of them" $listener.values $listener.values) -}}
{{- end -}}
{{- end -}}
{{- if and $listener.open (has $name (list "api" "http")) (not $listener.settings.tls.enabled) (not $listener.settings.plaintext) -}}
{{- $mistakes = append $mistakes (printf "%s.tls.enabled: the listener is open, and its connections carry secrets; set it, or %s.plaintext if something else encrypts them" $listener.values $listener.values) -}}
{{- end -}}
{{- end -}}
{{- with .Values -}}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- $mistakes = append $mistakes "certManager.issuerRef.name: is empty; name an issuer of cert-manager" -}}
{{- end -}}
{{- if .issuing.httpRoute.enabled -}}
{{- $mistakes = concat $mistakes (include "countersign.routeMistakes" $ | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- $mistakes | toJson -}}
{{- end -}}

{{- define "countersign.routeMistakes" -}}
{{- $mistakes := list -}}
{{- with .Values.issuing -}}
{{- if not .enabled }}{{ $mistakes = append $mistakes "issuing.httpRoute.enabled: needs issuing.enabled" }}{{ end -}}
{{- if not .httpRoute.parentRefs }}{{ $mistakes = append $mistakes "issuing.httpRoute.parentRefs: is empty; name a Gateway" }}{{ end -}}
{{- if and .tls.enabled (not .httpRoute.backendTls.caConfigMap) -}}
{{- $mistakes = append $mistakes "issuing.httpRoute.backendTls.caConfigMap: is empty; the gateway needs the CA of issuing.tls" -}}
{{- end -}}
{{- end -}}
{{- if not (dig "http" "public_url" "" (include "countersign.userConfig" . | fromJson)) -}}
{{- $mistakes = append $mistakes "config.http.public_url: is empty; set the URL that clients sign in front of /oauth/" -}}
{{- end -}}
{{- $mistakes | toJson -}}
{{- end -}}

{{- define "countersign.policyMistakes" -}}
{{- $mistakes := list -}}
{{- with .Values -}}
{{- if .networkPolicy.enabled -}}
{{- if not .networkPolicy.gateways -}}
{{- $mistakes = append $mistakes "networkPolicy.gateways: is empty; name the pods of your gateway" -}}
{{- end -}}
{{- range $index, $peer := .networkPolicy.gateways -}}
{{- if not (or $peer.namespace $peer.podLabels) -}}
{{- $mistakes = append $mistakes (printf "networkPolicy.gateways[%d]: would permit every pod; set namespace or podLabels" $index) -}}
{{- end -}}
{{- end -}}
{{- with .networkPolicy.redis -}}
{{- if and (include "countersign.redis" $) (not (or .namespace .podLabels .cidrs)) -}}
{{- $mistakes = append $mistakes "networkPolicy.redis: is empty; set namespace, podLabels or cidrs, so that pods reach Redis" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .podDisruptionBudget -}}
{{- if and (ne (toString .maxUnavailable) "") (ne (toString .minAvailable) "") -}}
{{- $mistakes = append $mistakes "podDisruptionBudget.minAvailable: podDisruptionBudget.maxUnavailable is set too; set that to \"\"" -}}
{{- end -}}
{{- $replicas := int (ternary $.Values.autoscaling.minReplicas $.Values.replicaCount $.Values.autoscaling.enabled) -}}
{{- if and .enabled (not (kindIs "string" .minAvailable)) (ge (int .minAvailable) $replicas) (gt $replicas 1) -}}
{{- $mistakes = append $mistakes (printf "podDisruptionBudget.minAvailable: must be less than the %d replicas, or no node can be drained" $replicas) -}}
{{- end -}}
{{- if eq (toString .maxUnavailable) "0" -}}
{{- $mistakes = append $mistakes "podDisruptionBudget.maxUnavailable: is 0, so no node can be drained" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $mistakes | toJson -}}
{{- end -}}
