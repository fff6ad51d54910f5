/** Replaces fields of the rendered manifests by the values of the chart. */
import type { Manifest } from '../kubernetes/kustomize/manifest.ts'
import type { TemplateCode } from './template-text.ts'
import { optional, optionalEntries, optionalText } from './template-text.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- a part of an object; what it holds depends on its kind
type Part = any

/** ConfigMaps whose content the chart defines as templates, and the keys that files hold. */
export const CONFIG_MAPS = ['registry-manager', 'client-limits', 'nginx', 'registry'] as const

const IMAGES: Readonly<Record<string, string>> = {
  'registry-manager': '{{ include "registry-manager.image" . | quote }}',
  nginx: '{{ .Values.nginx.image | quote }}',
  registry: '{{ .Values.registry.image | quote }}',
  postgres: '{{ .Values.postgres.image | quote }}',
}
const SECRETS: Readonly<Record<string, string>> = {
  'registry-manager': '{{ .Values.secrets.main | quote }}',
  'signing-keys': '{{ .Values.secrets.signingKeys | quote }}',
  tls: '{{ .Values.secrets.tls | quote }}',
  'registry-s3': '{{ .Values.secrets.s3 | quote }}',
}
/** Settings of containers that are values of the chart, by the name of the variable. */
const VARIABLES: Readonly<Record<string, string>> = {
  TRUSTED_PROXIES: '{{ .Values.trustedProxies | quote }}',
  REGISTRY_STORAGE_S3_BUCKET: '{{ .Values.storage.s3.bucket | quote }}',
  REGISTRY_STORAGE_S3_REGION: '{{ .Values.storage.s3.region | quote }}',
  REGISTRY_STORAGE_REDIRECT_DISABLE: '{{ empty .Values.storage.s3.redirects | quote }}',
  CONTENT_CACHE_SIZE: '{{ .Values.nginx.contentCache.size | quote }}',
  KEEP: '{{ .Values.backup.keep | quote }}',
}
const NAMESPACES: Readonly<Record<string, string>> = {
  monitoring: '{{ .Values.monitoring.namespace | quote }}',
  'nginx-ingress': '{{ .Values.ingress.controllerNamespace | quote }}',
  gateway: '{{ .Values.httpRoute.gatewayNamespace | quote }}',
}
const CLAIMS: Readonly<Record<string, string>> = {
  images: '.Values.storage.volume',
  database: '.Values.postgres.storage',
  backups: '.Values.backup.storage',
}

/** Settings for another S3 than Amazon's. */
const S3_ENDPOINT = `{{- with .Values.storage.s3.endpoint }}
- name: REGISTRY_STORAGE_S3_REGIONENDPOINT
  value: {{ . | quote }}
- name: REGISTRY_STORAGE_S3_FORCEPATHSTYLE
  value: {{ $.Values.storage.s3.forcePathStyle | quote }}
{{- end }}`

/** The origin of S3, if clients pull layers from there. */
const S3_REDIRECTS = `{{- with .Values.storage.s3.redirects }}
- name: BLOB_REDIRECTS
  value: {{ . | quote }}
{{- end }}`

/** The volume of nginx's content cache. */
const CONTENT_CACHE = `{{- with .Values.nginx.contentCache }}
{{- if .claim }}
ephemeral:
  volumeClaimTemplate:
    spec:
      accessModes: [ReadWriteOnce]
      resources:
        requests:
          storage: {{ .volumeSize }}
      {{- with .storageClassName }}
      storageClassName: {{ . | quote }}
      {{- end }}
{{- else }}
emptyDir:
  sizeLimit: {{ .volumeSize }}
{{- end }}
{{- end }}`

/** `auth-service` → `authService`, as values are named. */
export const camelCase = (name: string) =>
  name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

/** A copy of an object with everything that a value sets replaced by template code. */
export function substitute(manifest: Manifest, code: TemplateCode): Part {
  const object: Part = structuredClone(manifest)
  object.metadata.namespace = code.value('{{ .Release.Namespace }}')
  object.metadata.labels = {
    ...object.metadata.labels,
    [code.entry((indent) => `{{- include "registry-manager.labels" . | nindent ${indent} }}`)]: null,
  }
  everywhere(object, code)
  substituteKind(object, code)
  const template = podTemplateOf(object)
  if (template !== undefined) substitutePod(template, code)
  return object
}

/** Replaces fields that have the same meaning in every object: images, Secrets, ConfigMaps, the public host. */
function everywhere(part: Part, code: TemplateCode): void {
  if (part === null || typeof part !== 'object') return
  if (typeof part.image === 'string') {
    const [, name = ''] = /([^/:]+):[^/]+$/.exec(part.image) ?? []
    part.image = code.value(known(IMAGES, name))
    if (name === 'registry-manager')
      part[code.entry(optionalText('imagePullPolicy', '$.Values.image.pullPolicy'))] = null
  }
  if (typeof part.secretName === 'string') part.secretName = code.value(known(SECRETS, part.secretName))
  if (part.secretKeyRef) part.secretKeyRef.name = code.value(known(SECRETS, part.secretKeyRef.name))
  for (const reference of [part.configMap, part.configMapKeyRef, part.configMapRef])
    if (reference) reference.name = withoutHash(reference.name)
  if (typeof part.name === 'string' && VARIABLES[part.name]) part.value = code.value(VARIABLES[part.name]!)
  const namespace = part['kubernetes.io/metadata.name']
  if (namespace) part['kubernetes.io/metadata.name'] = code.value(known(NAMESPACES, namespace))
  for (const [key, value] of Object.entries(part)) {
    if (value === 'registry.example.com')
      part[key] = code.value('{{ include "registry-manager.host" . | quote }}')
    else everywhere(value, code)
  }
}

function substituteKind(object: Part, code: TemplateCode): void {
  const { kind, metadata, spec } = object
  const component = `.Values.${camelCase(metadata.name)}`
  const annotations = (value: string) => {
    metadata[code.entry(optional('annotations', value))] = null
  }
  if (kind === 'ServiceAccount') {
    annotations(`index .Values.serviceAccountAnnotations "${metadata.name}"`)
    delete object.imagePullSecrets
    object[code.entry(optional('imagePullSecrets', '.Values.imagePullSecrets'))] = null
  }
  if (kind === 'HorizontalPodAutoscaler') {
    spec.minReplicas = code.value(`{{ ${component}.autoscaling.minReplicas }}`)
    spec.maxReplicas = code.value(`{{ ${component}.autoscaling.maxReplicas }}`)
    spec.metrics[0].resource.target.averageUtilization = code.value(
      `{{ ${component}.autoscaling.cpuUtilization }}`,
    )
  }
  if (kind === 'Service' && metadata.name === 'nginx') {
    annotations('.Values.nginx.service.annotations')
    spec.type = code.value('{{ .Values.nginx.service.type }}')
    delete spec.externalTrafficPolicy
    const local = `{{- if ne .Values.nginx.service.type "ClusterIP" }}\nexternalTrafficPolicy: Local\n{{- end }}`
    spec[code.entry(() => local)] = null
  }
  if (kind === 'PersistentVolumeClaim') {
    // `helm uninstall` must not delete images and backups.
    metadata.annotations = { 'helm.sh/resource-policy': 'keep' }
    if (metadata.name === 'images')
      spec.accessModes = code.value('{{ list .Values.storage.volume.accessMode | toJson }}')
    substituteClaim(object, code)
  }
  if (kind === 'StatefulSet') for (const claim of spec.volumeClaimTemplates) substituteClaim(claim, code)
  if (kind === 'NetworkPolicy') substitutePorts(metadata.name, spec.egress ?? [], code)
  if (kind === 'Certificate') spec.issuerRef = code.value('{{ toJson .Values.certManager.issuerRef }}')
  if (kind === 'HTTPRoute') spec.parentRefs = code.value('{{ toJson .Values.httpRoute.parentRefs }}')
  if (kind === 'CronJob') spec.schedule = code.value('{{ .Values.backup.schedule | quote }}')
  if (kind === 'PodMonitor' || kind === 'PrometheusRule')
    metadata.labels[code.entry(optionalEntries('.Values.monitoring.labels'))] = null
}

function substituteClaim({ metadata, spec }: Part, code: TemplateCode): void {
  const value = known(CLAIMS, metadata.name)
  spec.resources.requests.storage = code.value(`{{ ${value}.size }}`)
  spec[code.entry(optionalText('storageClassName', `${value}.storageClassName`))] = null
}

/** Ports of Postgres and S3, which may be outside of the cluster. */
function substitutePorts(policy: string, egress: readonly Part[], code: TemplateCode): void {
  for (const allowed of egress.flatMap(({ ports }) => ports)) {
    if (allowed.port === 5432) allowed.port = code.value('{{ .Values.postgres.port }}')
    if (policy === 'registry-s3') allowed.port = code.value('{{ .Values.storage.s3.port }}')
  }
}

function substitutePod({ metadata, spec }: Part, code: TemplateCode): void {
  const name = camelCase(metadata.labels['app.kubernetes.io/name'])
  for (const config of configMapsOf(spec)) {
    const checksum = `{{ include "registry-manager.config.${config}" . | sha256sum | quote }}`
    metadata.annotations = { ...metadata.annotations, [`checksum/${config}`]: code.value(checksum) }
  }
  const [container] = spec.containers
  container.resources = code.value(`{{ toJson .Values.${name}.resources }}`)
  const worker = spec.initContainers?.find(({ name }: Part) => name === 'storage-worker')
  if (worker !== undefined) {
    worker.resources = code.value('{{ toJson .Values.storageWorker.resources }}')
    worker.env.push(code.entry(optionalEntries('.Values.storageWorker.extraEnv')))
  }
  const region = container.env.findIndex(({ name }: Part) => name === 'REGISTRY_STORAGE_S3_REGION')
  if (region >= 0)
    container.env.splice(
      region + 1,
      0,
      code.entry(() => S3_ENDPOINT),
    )
  if (name === 'registryProxy') container.env.push(code.entry(() => S3_REDIRECTS))
  const content = spec.volumes?.find(({ name }: Part) => name === 'content')
  if (content !== undefined) {
    delete content.emptyDir
    content[code.entry(() => CONTENT_CACHE)] = null
  }
  container.env.push(code.entry(optionalEntries(`.Values.${name}.extraEnv`)))
  for (const key of ['nodeSelector', 'tolerations']) spec[code.entry(optional(key, `.Values.${key}`))] = null
  const { affinity } = spec
  delete spec.affinity
  spec[code.entry(optional('affinity', affinity ? withAffinity(affinity) : '.Values.affinity'))] = null
  spec[code.entry(optionalText('priorityClassName', '.Values.priorityClassName'))] = null
}

/** The affinity that keeps pods on one node, if they must be there, and the user's. */
function withAffinity(affinity: Part): string {
  const own = `include "registry-manager.onOneNode" . | empty | ternary "{}" \`${JSON.stringify(affinity)}\``
  return `mergeOverwrite (fromJson (${own})) (deepCopy .Values.affinity)`
}

/** The chart's ConfigMaps that a pod refers to, by name. */
function configMapsOf(spec: Part): readonly string[] {
  const text = JSON.stringify(spec)
  return CONFIG_MAPS.filter((name) =>
    new RegExp(`"configMap(Ref|KeyRef)?":{[^}]*"name":"${name}"`).test(text),
  )
}

/** The pod template of an object that makes pods. */
function podTemplateOf({ kind, spec }: Part): Part {
  if (!['Deployment', 'StatefulSet', 'Job', 'CronJob'].includes(kind)) return undefined
  return kind === 'CronJob' ? spec.jobTemplate.spec.template : spec.template
}

/** A name without its hash: of kustomize (whose alphabet avoids words), or of the chart's Job (hexadecimal). */
export function withoutHash(name: string): string {
  return name.replace(/-(?:[2456789bcdfghkmt]{10}|[0-9a-f]{10})$/, '')
}

function known(table: Readonly<Record<string, string>>, name: string): string {
  const code = table[name]
  if (code === undefined)
    throw new Error(`the chart has no value for ${name}: add it in deploy/helm/substitute.ts`)
  return code
}
