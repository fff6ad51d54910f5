/** Prefixes that only settings of registry-manager have. */
const PREFIXES = [
  'DIRECTORY_',
  'OIDC_',
  'TOKEN_',
  'OFFLINE_',
  'ANONYMOUS_',
  'RECONCILE_',
  'SIGNING_',
  'TRUSTED_',
  'UPLOAD_',
]
/** Names with a larger edit distance from every setting are variables of other programs. */
const MAX_DISTANCE = 2
/** Shorter names, such as HOST, resemble too many other words. */
const MIN_LENGTH = 6

/**
 * Warns of environment variables that look like settings but are not: misspelt settings, and unknown names with a
 * prefix of ours. Warnings contain no values: they may be secrets.
 */
export function findUnknownSettings(
  names: readonly string[],
  known: readonly string[],
  prefixes: readonly string[] = PREFIXES,
): readonly string[] {
  const all = new Set(known.flatMap((name) => [name, `${name}_FILE`]))
  const warnings: string[] = []
  for (const name of names) {
    if (all.has(name) || name.length < MIN_LENGTH || name.length > 64) continue
    const near = [...all].find(
      (setting) => setting.length >= MIN_LENGTH && isNear(name.toUpperCase(), setting),
    )
    if (near !== undefined) warnings.push(`${name} is not a setting and has no effect: is ${near} meant?`)
    else if (prefixes.some((prefix) => name.startsWith(prefix))) {
      warnings.push(`${name} is not a setting and has no effect: docs/settings.md lists all of them`)
    }
  }
  return warnings
}

/** Prints a warning for each variable that looks like a setting of this schema but is not. */
export function warnOfUnknownSettings(
  { properties }: { readonly properties: object },
  env: NodeJS.ProcessEnv,
  prefixes?: readonly string[],
): void {
  for (const warning of findUnknownSettings(Object.keys(env), Object.keys(properties), prefixes)) {
    process.stderr.write(`warning: ${warning}\n`)
  }
}

function isNear(one: string, other: string): boolean {
  return Math.abs(one.length - other.length) <= MAX_DISTANCE && distance(one, other) <= MAX_DISTANCE
}

/** Edit distance: insertions, deletions, replacements and swaps of neighbours. Source: Damerau 1964. */
function distance(one: string, other: string): number {
  let [beforeLast, last] = [[] as number[], Array.from({ length: other.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const replaced = (last[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      const swapped = isSwap ? (beforeLast[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced, swapped))
    }
    beforeLast = last
    last = row
  }
  return last.at(-1) ?? 0
}
