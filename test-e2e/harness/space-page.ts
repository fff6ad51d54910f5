import { readFileSync } from 'node:fs'

/** The text below a heading of docs/space.md. */
export function sectionOfSpace(heading: string): string {
  const page = readFileSync(new URL('../../docs/space.md', import.meta.url), 'utf8')
  return page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
}

/** Its shell commands, block by block. */
export function commandsOfSpace(heading: string): readonly string[] {
  return [...sectionOfSpace(heading).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text ?? '')
}
