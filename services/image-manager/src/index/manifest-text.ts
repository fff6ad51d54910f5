/*
 * The registry parses a manifest with Go's encoding/json, image-manager with JSON.parse. The two disagree: Go ignores
 * the case of field names, and merges duplicate fields. A manifest that they would read differently is refused.
 * Source: Go, encoding/json, "Unmarshal"; RFC 8259 §4 (names within an object SHOULD be unique).
 */

/** Maximum number of descriptors of a manifest. Real images have fewer than 130 layers. */
const MAX_DESCRIPTORS = 4096
/** Limits of objects and lists, and of their nesting depth. They bound the memory of JSON.parse for 4 MiB of text. */
const [MAX_CONTAINERS, MAX_DEPTH] = [65_536, 100]

/** The kind of an object in a manifest. `free` objects have arbitrary names: annotations, for example. */
type Place = 'manifest' | 'descriptor' | 'platform' | 'free'

/** The fields of Go's structs, by place. Source: OCI image-spec 1.1, manifest.md, image-index.md, descriptor.md. */
const FIELDS: Readonly<Record<Place, ReadonlyMap<string, string>>> = {
  manifest: fieldsOf(
    'schemaVersion mediaType artifactType config layers blobs manifests subject annotations fsLayers history',
  ),
  descriptor: fieldsOf('mediaType digest size urls annotations data artifactType platform'),
  platform: fieldsOf('architecture os os.version os.features variant features'),
  free: new Map(),
}
const DESCRIPTOR_FIELDS = new Set(['config', 'subject', 'layers', 'blobs', 'manifests'])

interface Container {
  readonly isList: boolean
  /** The place of this object, or of the objects in this list. */
  readonly place: Place
  readonly names: Set<string>
  /** The name whose value comes next, in an object. */
  name: string
  /** Whether the next string is a name. */
  expectsName: boolean
}

/**
 * Finds a fault in the JSON of a manifest, apart from its syntax: duplicate names, names that differ from a field's by
 * case alone, and too many descriptors or containers. One pass over the text, before JSON.parse.
 */
export function findManifestFault(text: string): string | undefined {
  const open: Container[] = []
  let [containers, descriptors] = [0, 0]
  for (let at = 0; at < text.length; at += 1) {
    const top = open.at(-1)
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at)
        if (end === -1) return undefined
        if (top?.expectsName) {
          const name = decode(text.slice(at, end + 1))
          const fault = nameFault(top, name)
          if (fault !== undefined) return fault
          // Counts descriptors in unknown places too: a later registry may read them.
          if (top.place !== 'descriptor' && (name === 'digest' || name === 'blobSum')) descriptors += 1
          top.names.add(name)
          top.name = name
          top.expectsName = false
        }
        at = end
        break
      }
      case '{':
      case '[': {
        const next = containerIn(top, text[at] === '[')
        if (next.place === 'descriptor' && !next.isList) descriptors += 1
        containers += 1
        open.push(next)
        if (open.length > MAX_DEPTH) return `a manifest may have at most ${MAX_DEPTH} levels of nesting`
        if (containers > MAX_CONTAINERS)
          return `a manifest may have at most ${MAX_CONTAINERS} JSON objects and lists`
        break
      }
      case '}':
      case ']':
        open.pop()
        break
      case ',':
        if (top !== undefined) top.expectsName = !top.isList
        break
    }
    if (descriptors > MAX_DESCRIPTORS) {
      return `a manifest may have at most ${MAX_DESCRIPTORS} descriptors (config, layers, manifests, subject, others)`
    }
  }
  return undefined
}

function containerIn(parent: Container | undefined, isList: boolean): Container {
  return { isList, place: placeIn(parent), names: new Set(), name: '', expectsName: !isList }
}

function placeIn(parent: Container | undefined): Place {
  if (parent === undefined) return 'manifest'
  if (parent.isList) return parent.place
  if (parent.place === 'manifest') return DESCRIPTOR_FIELDS.has(parent.name) ? 'descriptor' : 'free'
  return parent.place === 'descriptor' && parent.name === 'platform' ? 'platform' : 'free'
}

function nameFault({ place, names }: Container, name: string): string | undefined {
  if (names.has(name)) return `the manifest has a duplicate key: ${quote(name)}`
  const field = FIELDS[place].get(fold(name))
  return field === undefined || field === name
    ? undefined
    : `the manifest has the key ${quote(name)}, which must be written ${quote(field)}`
}

/** The position of a string's closing quote; -1 if there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text[before - 1] === '\\') before -= 1
    if ((end - before) % 2 === 0) return end
  }
  return -1
}

function decode(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return String(JSON.parse(literal))
  } catch {
    // Invalid JSON; JSON.parse reports it.
    return literal
  }
}

/** Equal for names that Go considers equal: besides ASCII letters, U+017F folds to s and U+212A to k. */
function fold(name: string): string {
  return name.length > 40 ? name : name.toUpperCase().toLowerCase()
}

function quote(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name)
}

function fieldsOf(names: string): ReadonlyMap<string, string> {
  return new Map(names.split(' ').map((name) => [fold(name), name]))
}
