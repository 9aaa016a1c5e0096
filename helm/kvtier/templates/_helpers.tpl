{{- define "kvtier.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "kvtier.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kvtier.labels" -}}
{{ include "kvtier.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "kvtier.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kvtier.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kvtier.tokenSecret" -}}
{{- if .Values.token.existingSecret -}}
{{- .Values.token.existingSecret -}}
{{- else if .Values.token.value -}}
{{- printf "%s-token" (include "kvtier.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- /* What can't work is refused before anything is installed. */ -}}
{{- define "kvtier.check" -}}
{{- $silos := mul .Values.replicaCount (max 1 (len .Values.zones)) -}}
{{- if and (not .Values.etcd.endpoints) (gt $silos 1) -}}
{{- fail (printf "etcd.endpoints is empty, but there are %d silos; name an etcd, or set replicaCount to 1 without zones" $silos) -}}
{{- end -}}
{{- if and .Values.etcd.endpoints (gt (int .Values.cluster.replicas) (int $silos)) -}}
{{- fail (printf "cluster.replicas is %d, but there are %d silos" (int .Values.cluster.replicas) $silos) -}}
{{- end -}}
{{- end -}}

{{- /* Arguments of a silo. Takes root, zone and set (the StatefulSet's name). */ -}}
{{- define "kvtier.arguments" -}}
{{- $root := .root -}}
- serve
- --name=$(POD_NAME)
- --address=0.0.0.0
- --http-address=0.0.0.0
- --host-bytes={{ int $root.Values.silo.hostMiB }}MiB
- --drain-seconds={{ int $root.Values.silo.drainSeconds }}
{{- if $root.Values.persistence.enabled }}
- --data-directory=/data/silo
- --ssd-bytes={{ int $root.Values.silo.ssdGiB }}GiB
{{- end }}
{{- if $root.Values.resp.enabled }}
- --resp-enabled=true
- --resp-address=0.0.0.0
{{- end }}
{{- if $root.Values.etcd.endpoints }}
- --cluster-etcd={{ join "," $root.Values.etcd.endpoints }}
- --cluster-name={{ $root.Values.cluster.name }}
- --cluster-replicas={{ int $root.Values.cluster.replicas }}
- --cluster-lease-ms={{ int $root.Values.cluster.leaseMs }}
- --cluster-advertise=$(POD_NAME).{{ .set }}.$(POD_NAMESPACE).svc:7420
{{- if $root.Values.resp.enabled }}
- --cluster-resp-advertise=$(POD_NAME).{{ .set }}.$(POD_NAMESPACE).svc:7421
{{- end }}
{{- if .zone }}
- --cluster-zone={{ .zone }}
{{- end }}
{{- if $root.Values.etcd.tls.secret }}
- --cluster-etcd-ca=/etcd-tls/ca.crt
{{- if $root.Values.etcd.tls.clientCertificate }}
- --cluster-etcd-cert=/etcd-tls/tls.crt
- --cluster-etcd-key=/etcd-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := $root.Values.silo.options }}
- --{{ $name | kebabcase | replace "." "-" }}={{ $value }}
{{- end }}
{{- end -}}
