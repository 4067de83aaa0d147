"""The routes of the API, one module per noun; `seamwise.web.main` joins them."""
