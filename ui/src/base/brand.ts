// Branded types: values that are the same to the machine and must not be mixed up by people.

declare const brand: unique symbol;

/** A `T` that is told from other `T`s by its name. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
