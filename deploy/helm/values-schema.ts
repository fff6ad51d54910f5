/** The type of a default value allows that type only. An empty map or list may be given any content. */
type Schema = Readonly<Record<string, unknown>>

/** Values with a fixed set of words, by path. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'storage.type': ['s3', 'volume'],
  'storage.volume.accessMode': ['ReadWriteOnce', 'ReadWriteMany'],
  'nginx.contentFrom': ['', 'volume', 'cache', 'registry'],
  'nginx.service.type': ['LoadBalancer', 'NodePort', 'ClusterIP'],
  'image.pullPolicy': ['', 'Always', 'IfNotPresent', 'Never'],
}
/** Maps that users extend: their content goes into the manifests as it is. */
const OPEN = new Set(['resources', 'issuerRef'])

/** A JSON Schema for values.yaml, made from its defaults. Unknown keys are errors; Helm itself ignores them. */
export function valuesSchema(defaults: object): Schema {
  return {
    $schema: 'https://json-schema.org/draft-07/schema#',
    title: 'values of registry-manager',
    ...schemaOf(defaults, []),
  }
}

function schemaOf(value: unknown, path: readonly string[]): Schema {
  const words = WORDS[path.join('.')]
  if (words !== undefined) return { enum: words }
  if (Array.isArray(value)) return { type: 'array' }
  if (value === null || typeof value !== 'object')
    return { type: typeof value === 'number' ? 'integer' : typeof value }
  const entries = Object.entries(value)
  if (entries.length === 0 || OPEN.has(path.at(-1) ?? '')) return { type: 'object' }
  // Helm adds `global` to the values of every chart.
  const global = path.length === 0 ? { global: { type: 'object' } } : {}
  const properties = Object.fromEntries(entries.map(([key, child]) => [key, schemaOf(child, [...path, key])]))
  return { type: 'object', additionalProperties: false, properties: { ...properties, ...global } }
}
