/* The invocation map in the browser: draws what figures/map.py lays out, and focuses on what is chosen. */
(() => {
  const GRAPH = 'map-graph';
  const PADDING = 36;
  const MOST_ZOOM = 1.15; // a map of three nodes is not blown up
  const PATIENCE = 300; // frames to wait for the component

  /** The Cytoscape instance behind Dash's component, if it is there. */
  const graph = () => document.getElementById(GRAPH)?._cyreg?.cy;

  const whenDrawn = (action, patience = PATIENCE) => {
    const cy = graph();
    if (cy && cy.elements().length) action(cy);
    else if (patience > 0 && document.getElementById(GRAPH)) requestAnimationFrame(() => whenDrawn(action, patience - 1));
  };

  const fit = cy => {
    cy.resize();
    cy.fit(cy.elements(), PADDING);
    if (cy.zoom() <= MOST_ZOOM) return;
    cy.zoom(MOST_ZOOM);
    cy.center();
  };

  /** Dim what is not beside the chosen element. */
  const focus = (cy, chosen) => cy.batch(() => {
    cy.elements().removeClass('map-dim map-hot');
    if (!chosen) return;
    const near = chosen.isNode() ? chosen.closedNeighborhood() : chosen.union(chosen.connectedNodes());
    cy.elements().difference(near).addClass('map-dim');
    near.edges().addClass('map-hot');
  });

  const choose = (cy, chosen) => {
    focus(cy, chosen);
    faasight.setParams({ node: chosen ? chosen.id() : '' });
    faasight.setProps('map-chosen', { data: chosen ? chosen.id() : null });
  };

  const repaint = () => {
    if (graph()) faasight.setProps('map-theme', { data: Date.now() });
  };

  /** Once for each instance. */
  const begin = (cy, chosen) => {
    if (cy.scratch('_faasight')) return;
    cy.scratch('_faasight', true);
    cy.on('tap', 'node, edge', event => choose(cy, event.target));
    cy.on('tap', event => { if (event.target === cy) choose(cy, null); });
    cy.on('mouseover', 'edge', event => event.target.addClass('map-told'));
    cy.on('mouseout', 'edge', event => event.target.removeClass('map-told'));
    cy.on('mouseover mouseout', 'node, edge', event => { cy.container().style.cursor = event.type === 'mouseover' ? 'pointer' : ''; });
    new ResizeObserver(() => cy.resize()).observe(cy.container());
    fit(cy);
    if (chosen) cy.getElementById(chosen).select();
  };

  window.dash_clientside.map = {
    /* Elements and stylesheet for the theme in force. Positions are given, so that what stays does not move. */
    draw(drawing, _theme, onlyErrors, chosen) {
      if (!drawing) return [faasight.noUpdate(), faasight.noUpdate()];
      if (!faasight.mapStyle.fontsReady()) document.fonts.ready.then(repaint);
      const colors = faasight.mapStyle.theme();
      document.getElementById('map-legend')?.replaceChildren(...faasight.mapStyle.legend(drawing));
      // After React has handed over the elements.
      requestAnimationFrame(() => whenDrawn(cy => {
        begin(cy, chosen);
        focus(cy, cy.$(':selected')[0]);
      }));
      return [faasight.mapStyle.elements(drawing, colors, onlyErrors), faasight.mapStyle.stylesheet(colors)];
    },
    fit(_clicks) {
      whenDrawn(fit);
      return faasight.noUpdate();
    },
    toggle(_clicks, on) {
      return [!on, on ? 'pill' : 'pill on'];
    },
    png(_clicks) {
      whenDrawn(cy => {
        const link = document.createElement('a');
        link.href = cy.png({ full: true, scale: 2, bg: faasight.mapStyle.theme().ground });
        link.download = 'invocation-map.png';
        link.click();
      });
      return faasight.noUpdate();
    },
  };

  // The canvas is painted anew when the viewer changes between light and dark.
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ['data-mantine-color-scheme'] });

  document.addEventListener('keydown', event => {
    const cy = graph();
    if (!cy || event.key !== 'Escape' || event.target.closest('input, textarea, [role=dialog]')) return;
    cy.elements().unselect();
    choose(cy, null);
  });

  /** What is drawn, for tests: nodes and edges with their data, place on the screen (`at`), and whether they are dimmed. */
  faasight.map = () => {
    const cy = graph();
    if (!cy?.scratch('_faasight')) return null; // not fitted yet: places will change
    const told = (element, at) => ({ ...element.data(), image: undefined, at, dim: element.hasClass('map-dim'), hot: element.hasClass('map-hot') });
    return {
      nodes: cy.nodes().map(node => told(node, node.renderedPosition())),
      edges: cy.edges().map(edge => told(edge, edge.renderedMidpoint())),
      zoom: cy.zoom(),
    };
  };
})();
