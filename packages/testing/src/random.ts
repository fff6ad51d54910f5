/** Numbers that a seed determines. Source: mulberry32, by Tommy Ettinger. */
export function createRandom(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296
  }
  /** A whole number from 0 up to, but not including, a limit. */
  const below = (limit: number) => Math.floor(next() * limit)
  /** One of some items. */
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[below(items.length)]
  return { below, pick }
}

export type Random = ReturnType<typeof createRandom>
