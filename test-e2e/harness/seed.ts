import { readFileSync } from 'node:fs'

/** Returns the text of a seed document by its number. */
export function readSeed(name: string): string {
  return readFileSync(new URL(`../seeds/${name}.txt`, import.meta.url), 'utf8')
}

/** Replaces every placeholder. Throws if the text lacks one: the test is outdated then. */
export function fillIn(text: string, replacements: readonly (readonly [string, string])[]): string {
  return replacements.reduce((filled, [placeholder, value]) => {
    if (!filled.includes(placeholder)) throw new Error(`the seed lacks ${placeholder}`)
    return filled.replaceAll(placeholder, value)
  }, text)
}
