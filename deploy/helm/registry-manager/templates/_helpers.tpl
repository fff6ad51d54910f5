{{/* Labels of every object, in addition to those of its template. */}}
{{- define "registry-manager.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The one image of all services. A digest wins over the tag. */}}
{{- define "registry-manager.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Where nginx takes layers and manifests from: volume, cache or registry. */}}
{{- define "registry-manager.contentFrom" -}}
{{- $from := .Values.nginx.contentFrom | default (ternary "cache" "volume" (eq .Values.storage.type "s3")) -}}
{{- if and (eq $from "volume") (ne .Values.storage.type "volume") -}}
{{- fail "nginx.contentFrom: volume requires storage.type: volume" -}}
{{- end -}}
{{ $from }}
{{- end }}

{{/* Not empty if the registry and every nginx must run on one node, because they share a volume of one node. */}}
{{- define "registry-manager.onOneNode" -}}
{{- $isOfOneNode := eq .Values.storage.volume.accessMode "ReadWriteOnce" -}}
{{- if and $isOfOneNode (eq (include "registry-manager.contentFrom" .) "volume") -}}true{{- end -}}
{{- end }}

{{/* The public host without its port. */}}
{{- define "registry-manager.host" -}}
{{ regexReplaceAll ":[0-9]+$" .Values.publicHost "" }}
{{- end }}
