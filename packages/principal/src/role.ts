/** The rights that a user has by account, most powerful first. Registry tokens have the least. */
export const ROLES = ['cluster-administrator', 'administrator', 'user'] as const
export type Role = (typeof ROLES)[number]
