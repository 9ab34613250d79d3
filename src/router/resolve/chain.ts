import type { Resolver } from './resolver.ts'

/** A layer is a function from resolver to resolver: it answers itself or asks `next`. */
export type Layer = (next: Resolver) => Resolver

/** The outermost layer comes first. The order is policy, so it is written in one visible list (router/main.ts). */
export function chainOf(layers: readonly Layer[], last: Resolver): Resolver {
  return layers.reduceRight((next, layer) => layer(next), last)
}
