import { LineCounter, isMap, isNode, isScalar, isSeq, parseDocument } from 'yaml'
import type { Node } from 'yaml'
import type { FileFault, Path } from './access-file.ts'

/** The most uses of YAML aliases: they can make a small file a huge value. */
const MAX_ALIASES = 100

export interface ParsedYaml {
  readonly value: unknown
  /** The line of a value or of its key, or of the nearest value that contains it; counted from 1. */
  lineOf(path: Path): number
}

/**
 * Parses a YAML file with one document. Keys that occur twice are faults. With the schema `failsafe` every scalar is
 * the text in the file. Source: YAML 1.2.2 §10.
 */
export function parseYaml(
  text: string,
  schema: 'core' | 'failsafe' = 'core',
): ParsedYaml | { readonly faults: readonly FileFault[] } {
  const counter = new LineCounter()
  const lineAt = (offset: number) => Math.max(1, counter.linePos(offset).line)
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    stringKeys: true,
    schema,
  })
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) {
    return { faults: faults.map(({ pos, message }) => ({ line: lineAt(pos[0]), text: toSentence(message) })) }
  }
  const lineOf = (path: Path): number => {
    let [node, offset]: [unknown, number] = [document.contents, 0]
    for (const part of path) {
      const step = childOf(node, part)
      if (step === undefined) break
      offset = offsetOf(step.key) ?? offsetOf(step.value) ?? offset
      node = step.value
    }
    return lineAt(offset)
  }
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), lineOf }
  } catch (error) {
    return { faults: [{ line: 1, text: toSentence((error as Error).message) }] }
  }
}

/** The key and the value at one part of a path. An entry of a list has no key. */
function childOf(
  node: unknown,
  part: string | number,
): { readonly key?: unknown; readonly value: unknown } | undefined {
  if (isMap(node)) {
    return node.items.find(({ key }) => (isScalar(key) ? key.value : key) === part)
  }
  if (!isSeq(node) || typeof part !== 'number') return undefined
  const value = node.items[part]
  return value === undefined ? undefined : { value }
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined
}

function toSentence(message: string): string {
  return message.replace(/\s+/g, ' ').trim()
}
