/**
 * The `uid` of tokens that were issued to nobody in particular (ANONYMOUS_PULL). No account has it: those have
 * UUIDs. It names nobody whom auth-service could be asked about.
 */
export const ANONYMOUS_UID = 'anonymous'
