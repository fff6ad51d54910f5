/** The pattern of SQL's `like` for strings that contain `part`, whose own `%`, `_` and `\` have no special meaning. */
export function containing(part: string): string {
  return `%${part.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
}
