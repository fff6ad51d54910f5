import type { SignInRefusal } from './provider-sign-in.ts'

/** The message of the sign-in page about a refused sign-in at a provider. */
export function textOfRefusal(refusal: SignInRefusal, label: string): string {
  switch (refusal.reason) {
    case 'unknown-attempt':
      return 'This sign-in has expired, was used already or was begun in another browser. Please sign in again.'
    case 'invalid-response': {
      const { code } = refusal.cause
      return code === 'access_denied'
        ? `${label} has refused the sign-in.`
        : `The response of ${label} is not valid${isPlain(code) ? ` (${code})` : ''}. Please sign in again.`
    }
    case 'claim':
      return (
        `${label} sent a claim that cannot be used: ${refusal.fault.claim} ${refusal.fault.rule}. ` +
        'Please ask an administrator.'
      )
    case 'no-account':
      return `There is no account ${refusal.username} yet. Please ask an administrator for one.`
    case 'other-account':
      return `The username ${refusal.username} belongs to another account. Please ask an administrator.`
    case 'disabled':
      return `The account ${refusal.username} is disabled. Please ask an administrator.`
  }
}

/** Error codes come from the URL, where anybody can write anything. */
function isPlain(code: string | undefined): code is string {
  return code !== undefined && /^[a-z_]{1,40}$/.test(code)
}
