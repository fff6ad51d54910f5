import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpResponse } from './ask.ts'
import { ask } from './ask.ts'
import type { SmallImage } from './small-image.ts'
import { MANIFEST_TYPE, annotated, digestOf } from './small-image.ts'
import type { Credentials, Reachable } from './system.ts'

export interface RepeatedPushes {
  /** Digests of the accepted manifests, by tag. */
  readonly accepted: ReadonlyMap<string, string>
  /** All other responses. */
  readonly refused: readonly HttpResponse[]
  /** Stops after the next accepted manifest. */
  stop(): Promise<void>
}

/** The time until the last push must be accepted. */
const STOP_MS = 60_000

/** Pushes manifests of an image with one new tag after another. Each push is retried until it is accepted. */
export function startRepeatedPushes(
  at: Pick<Reachable, 'url'>,
  as: Credentials,
  image: SmallImage,
  prefix = 'pushed',
): RepeatedPushes {
  const accepted = new Map<string, string>()
  const refused: HttpResponse[] = []
  const stopping = new AbortController()
  let deadline = Infinity
  const push = async () => {
    for (let number = 0; !stopping.signal.aborted; number++) {
      const [tag, body] = [`${prefix}-${number}`, annotated(image, `${prefix} ${number}`)]
      const put = () =>
        ask(at, `/v2/${image.repository}/manifests/${tag}`, { method: 'PUT', as, body, type: MANIFEST_TYPE })
      for (let response = await put(); response.status !== 201; response = await put()) {
        refused.push(response)
        if (Date.now() > deadline) throw new Error(`the last push got ${response.status}: ${response.text}`)
        await sleep(100)
      }
      accepted.set(tag, digestOf(body))
    }
  }
  const pushing = push()
  const stop = () => {
    stopping.abort()
    deadline = Date.now() + STOP_MS
    return pushing
  }
  return { accepted, refused, stop }
}
