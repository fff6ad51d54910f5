/*
 * The registry reads a manifest with Go's encoding/json, we read it with JSON.parse, and the two disagree: Go matches
 * the names of fields whatever their case, and merges a field that comes twice. What the two read differently is refused.
 * Source: Go, encoding/json, "Unmarshal"; RFC 8259 §4 (names within an object SHOULD be unique).
 */

/** How many descriptors a manifest may have, wherever they stand. Real images have fewer than 130 layers. */
export const MAX_DESCRIPTORS = 4096
/** Objects and lists, and how deep they may be nested: bounds for what JSON.parse makes of 4 MiB. */
const [MAX_CONTAINERS, MAX_DEPTH] = [65_536, 100]

/** What an object is to a manifest; `free` holds names that somebody made up, annotations among them. */
type Place = 'manifest' | 'descriptor' | 'platform' | 'free'

/** The fields that Go knows, by place. Source: OCI image-spec 1.1, manifest.md, image-index.md, descriptor.md. */
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
  /** Of this object, or of the objects of this list. */
  readonly place: Place
  readonly names: Set<string>
  /** The name whose value is read, in an object. */
  name: string
  /** Whether the next text is a name. */
  expectsName: boolean
}

/**
 * What is wrong with the text of a manifest, besides not being JSON: names that are there twice or differ from a
 * field's by case alone, and too many descriptors. One pass over the text, before anything is parsed.
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
          // One outside of the known places: a later registry may read it.
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
        if (open.length > MAX_DEPTH) return `a manifest may be nested ${MAX_DEPTH} levels deep at most`
        if (containers > MAX_CONTAINERS)
          return `a manifest may have ${MAX_CONTAINERS} JSON objects and lists at most`
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
      return `a manifest may have ${MAX_DESCRIPTORS} descriptors at most: config, layers, manifests, subject and others together`
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
  if (names.has(name)) return `a manifest has the key ${quote(name)} twice in one object`
  const field = FIELDS[place].get(fold(name))
  return field === undefined || field === name
    ? undefined
    : `a manifest has the key ${quote(name)}: write it ${quote(field)}`
}

/** Where a string ends that begins here; -1 where it does not. */
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
    // No JSON: its parser says so.
    return literal
  }
}

/** Equal for names that Go takes for the same: U+017F folds to s and U+212A to k, besides ASCII. */
function fold(name: string): string {
  return name.length > 40 ? name : name.toUpperCase().toLowerCase()
}

function quote(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name)
}

function fieldsOf(names: string): ReadonlyMap<string, string> {
  return new Map(names.split(' ').map((name) => [fold(name), name]))
}
