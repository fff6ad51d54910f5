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

{{/* The public host without its port. */}}
{{- define "registry-manager.host" -}}
{{ regexReplaceAll ":[0-9]+$" .Values.publicHost "" }}
{{- end }}
