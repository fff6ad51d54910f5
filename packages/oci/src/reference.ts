/** A reference to a manifest, by tag or digest. */
export type Reference = { readonly tag: string } | { readonly digest: string }

/** Tags as a regular expression, for JSON schemas. */
export const TAG_PATTERN = '^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$'
/** Digests as a regular expression, for JSON schemas. */
export const DIGEST_PATTERN = '^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$'
const TAG = new RegExp(TAG_PATTERN)
const ENCODED_LENGTH: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha512', 128],
])
const LOWER_HEX = /^[0-9a-f]+$/

/** Whether `text` is a tag. Source: OCI distribution-spec 1.1, `<reference>` as a tag. */
export function isTag(text: string): boolean {
  return TAG.test(text)
}

/**
 * Whether `text` is a digest in one of the registered algorithms, sha256 or sha512, in lower-case hex.
 * Source: OCI image-spec 1.1, descriptor.md, "Registered algorithms".
 */
export function isDigest(text: string): boolean {
  const colon = text.indexOf(':')
  const encoded = text.slice(colon + 1)
  return ENCODED_LENGTH.get(text.slice(0, colon)) === encoded.length && LOWER_HEX.test(encoded)
}

/** Parses a manifest reference. A string with a colon must be a digest. Undefined for a string that is no reference. */
export function parseReference(text: string): Reference | undefined {
  if (text.includes(':')) return isDigest(text) ? { digest: text } : undefined
  return isTag(text) ? { tag: text } : undefined
}
