import type { RegistryError } from '@registry-manager/oci'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ByteBudget } from '@registry-manager/http'
import { createByteBudget } from '@registry-manager/http'
import type { UpstreamRequest } from './upstream-request.ts'
import type { ForwardPlan } from './forward.ts'
import type { PushManifestPorts } from './push-manifest.ts'
import { pushManifest } from './push-manifest.ts'
import { readBody } from './read-body.ts'
import { refuse } from './refuse.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** A manifest is at most this long. Source: distribution, `maxManifestBodySize`. */
const MAX_MANIFEST_BYTES = 4 * MIB
/** Nearly all manifests are smaller than this. */
const SMALL_BYTES = 64 * KIB

/**
 * How many bytes of manifests may be in memory. Each is there about three times over: read, sent to image-manager,
 * sent to the registry. This keeps the process below 300 MiB. An account has three quarters of each at most.
 * Requests that wait are not read, which holds their clients back. Those that cannot wait are answered 429.
 * Small manifests have a budget of their own, so that large ones that come slowly do not hold them up.
 */
const WAITING = { waiting: 512, waitingPerAccount: 128, waitMs: 30_000 }
const LARGE_BUDGET = { ...WAITING, total: 16 * MIB, perAccount: 12 * MIB }
const SMALL_BUDGET = { ...WAITING, total: 4 * MIB, perAccount: 3 * MIB }

export interface ManifestBudgets {
  readonly small: ByteBudget
  readonly large: ByteBudget
}

/** The budgets of one process. */
export function createManifestBudgets(): ManifestBudgets {
  return { small: createByteBudget(SMALL_BUDGET), large: createByteBudget(LARGE_BUDGET) }
}

const TOO_MANY_MANIFESTS: RegistryError = {
  code: 'TOOMANYREQUESTS',
  message: 'too many manifests are being pushed at once; retry shortly',
}

export const MANIFEST_TOO_LONG: RegistryError = {
  code: 'MANIFEST_INVALID',
  status: 413,
  message: `a manifest is at most ${MAX_MANIFEST_BYTES} bytes long`,
}

/** Whether a request announces a manifest that is too long. A chunked body does not announce its length. */
export function announcesTooLong(upstream: UpstreamRequest, { headers }: FastifyRequest): boolean {
  return upstream.body === 'manifest' && Number(headers['content-length'] ?? 0) > MAX_MANIFEST_BYTES
}

/** Reads a manifest and pushes it, once there is room for it in memory. */
export async function carryManifest(
  ports: PushManifestPorts,
  budgets: ManifestBudgets,
  plan: ForwardPlan,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  // A chunked body may turn out as long as is permitted.
  const length = Number(request.headers['content-length'] ?? MAX_MANIFEST_BYTES)
  const budget = length <= SMALL_BYTES ? budgets.small : budgets.large
  const release = await budget.take(plan.principal.uid, length)
  if (release === undefined) {
    reply.header('retry-after', 5)
    return refuse(request, reply, TOO_MANY_MANIFESTS)
  }
  try {
    const body = await readBody(request.raw, { maxBytes: MAX_MANIFEST_BYTES, length })
    if (body === undefined) return await refuse(request, reply, MANIFEST_TOO_LONG)
    return await pushManifest(ports, plan, body, request, reply)
  } finally {
    release()
  }
}
