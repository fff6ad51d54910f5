import { readFileSync } from 'node:fs'

/** The text of a document that the product was asked for in, by its number. */
export function readSeed(name: string): string {
  return readFileSync(new URL(`../seeds/${name}.txt`, import.meta.url), 'utf8')
}

/** Replaces every placeholder, and fails on one that the text does not hold: then the test is out of date. */
export function fillIn(text: string, replacements: readonly (readonly [string, string])[]): string {
  return replacements.reduce((filled, [placeholder, value]) => {
    if (!filled.includes(placeholder)) throw new Error(`the seed does not say ${placeholder}`)
    return filled.replaceAll(placeholder, value)
  }, text)
}
