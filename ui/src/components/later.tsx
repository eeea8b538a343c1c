// Components whose code is fetched when they are wanted. React's own way holds what it shows back
// for a third of a second once a placeholder was shown; this one does not.

import { type ComponentType, type ReactNode, useEffect, useState } from "react";
import { Failure } from "./states";

export interface Later<Props> {
  (props: Props): ReactNode;
  /** Fetches the code; what is there already is not fetched again. */
  readonly fetched: () => Promise<unknown>;
}

/**
 * `load` is an import; `placeholder` is shown until it is there, and `otherwise` if it cannot be
 * had: without that, why. What is around it stands.
 */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  placeholder: ReactNode = null,
  otherwise?: ReactNode,
): Later<Props> {
  let loaded: ComponentType<Props> | undefined;
  const fetched = async () => {
    loaded ??= await load();
    return loaded;
  };
  function Deferred(props: Props) {
    const [Loaded, setLoaded] = useState(() => loaded);
    const [error, setError] = useState<Error | undefined>();
    useEffect(() => {
      if (Loaded !== undefined || error !== undefined) return;
      fetched().then((each) => setLoaded(() => each), setError);
    }, [Loaded, error]);
    if (error !== undefined) {
      if (otherwise !== undefined) return otherwise;
      return (
        <div className="page">
          <Failure
            title="This part of the page could not be fetched"
            error={error}
            onRetry={() => setError(undefined)}
          />
        </div>
      );
    }
    return Loaded === undefined ? placeholder : <Loaded {...props} />;
  }
  return Object.assign(Deferred, { fetched });
}
