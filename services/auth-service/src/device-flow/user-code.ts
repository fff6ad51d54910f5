/** Consonants without letters that look alike, so that no code is a word. Source: RFC 8628 §6.1. */
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ'
/** 20⁸ is 2.6 · 10¹⁰: ten guesses a minute do not find one of a hundred live codes within its ten minutes. */
const LENGTH = 8

/** Makes a code such as `BCDF-GHJK`. `randomInt` returns a random whole number from 0 to below `max`. */
export function makeUserCode(randomInt: (max: number) => number): string {
  const letters = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return `${letters.slice(0, LENGTH / 2)}-${letters.slice(LENGTH / 2)}`
}

/** The code that a person typed, in any case, with or without punctuation; undefined if it cannot be one. */
export function readUserCode(typed: string | undefined): string | undefined {
  const letters = (typed ?? '').toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
  const isCode = letters.length === LENGTH && [...letters].every((letter) => ALPHABET.includes(letter))
  return isCode ? `${letters.slice(0, LENGTH / 2)}-${letters.slice(LENGTH / 2)}` : undefined
}
