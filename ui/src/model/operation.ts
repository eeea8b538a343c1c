// Operations of a service, and calls between services.

export interface Operation {
  readonly name: string;
  readonly kind: string;
}

export interface DependencyEdge {
  readonly parent: string;
  readonly child: string;
  readonly calls: number;
}
