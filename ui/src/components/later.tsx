// Components whose code is fetched when they are wanted. React's own way holds what it shows back
// for a third of a second once a placeholder was shown; this one does not.

import { type ComponentType, type ReactNode, useEffect, useState } from "react";

export interface Later<Props> {
  (props: Props): ReactNode;
  /** Fetches the code; what is there already is not fetched again. */
  readonly fetched: () => Promise<unknown>;
}

/** `load` is an import; `placeholder` is shown until it is there. */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  placeholder: ReactNode = null,
): Later<Props> {
  let loaded: ComponentType<Props> | undefined;
  const fetched = async () => {
    loaded ??= await load();
    return loaded;
  };
  function Deferred(props: Props) {
    const [Loaded, setLoaded] = useState(() => loaded);
    const [error, setError] = useState<unknown>();
    useEffect(() => {
      if (Loaded === undefined) fetched().then((each) => setLoaded(() => each), setError);
    }, [Loaded]);
    if (error !== undefined) throw error;
    return Loaded === undefined ? placeholder : <Loaded {...props} />;
  }
  return Object.assign(Deferred, { fetched });
}
