import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from './ask.ts'
import { ask } from './ask.ts'
import type { SmallImage } from './small-image.ts'
import { MANIFEST_TYPE, annotated, digestOf } from './small-image.ts'
import type { Credentials, Reachable } from './system.ts'

export interface Pushing {
  /** Digests of the accepted manifests, by tag. */
  readonly taken: ReadonlyMap<string, string>
  /** All other responses. */
  readonly refused: readonly Answer[]
  /** Stops after the next accepted manifest. */
  stop(): Promise<void>
}

/** Pushes manifests of an image with one new tag after another. Each push is retried until it is accepted. */
export function keepPushing(
  at: Pick<Reachable, 'url'>,
  as: Credentials,
  image: SmallImage,
  prefix = 'pushed',
): Pushing {
  const taken = new Map<string, string>()
  const refused: Answer[] = []
  const stopping = new AbortController()
  const push = async () => {
    for (let number = 0; !stopping.signal.aborted; number++) {
      const [tag, body] = [`${prefix}-${number}`, annotated(image, `${prefix} ${number}`)]
      const put = () =>
        ask(at, `/v2/${image.repository}/manifests/${tag}`, { method: 'PUT', as, body, type: MANIFEST_TYPE })
      for (let answer = await put(); answer.status !== 201; answer = await put()) {
        refused.push(answer)
        await sleep(100)
      }
      taken.set(tag, digestOf(body))
    }
  }
  const pushing = push()
  const stop = () => {
    stopping.abort()
    return pushing
  }
  return { taken, refused, stop }
}
