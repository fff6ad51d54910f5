/** Longer paths are dropped: they would not fit into a Location header and a form. */
const MAX_LENGTH = 2048
/** An origin that no path can name. */
const OWN = 'http://own.invalid'

/**
 * The path of ours that a person wanted before they had to sign in; undefined for anything else, so that no link to the
 * sign-in page leads to another site. The path is parsed as a browser parses it: `//host`, `/\host` and `/.//host` name
 * other hosts, and browsers drop tabs and line breaks. Source: WHATWG URL §4.4; CWE-601.
 */
export function ownPath(text: string | undefined): string | undefined {
  if (text === undefined || !text.startsWith('/') || text.length > MAX_LENGTH) return undefined
  const url = URL.parse(text, OWN)
  if (url === null || url.origin !== OWN || url.username !== '' || url.password !== '') return undefined
  const path = `${url.pathname}${url.search}`
  return path.startsWith('//') ? undefined : path
}
