// Starts GraphiQL with what the page's element says. Queries and headers stay in this tab: nothing is kept after it.
"use strict";
(() => {
  window.__webpack_nonce__ = document.currentScript.nonce;
  const place = document.getElementById("graphiql");
  const { endpoint, headers, query } = place.dataset;
  const fetcher = GraphiQL.createFetcher({ url: endpoint });
  ReactDOM.createRoot(place).render(
    React.createElement(GraphiQL, {
      fetcher,
      storage: window.sessionStorage,
      defaultHeaders: headers,
      defaultQuery: query,
      defaultEditorToolsVisibility: "headers",
      isHeadersEditorEnabled: true,
      shouldPersistHeaders: false,
    }),
  );
})();
