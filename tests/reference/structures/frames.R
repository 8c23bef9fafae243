# Reads data/*.csv with the types of data/schema.json, and writes results. Sourced by the scripts.
suppressMessages(library(jsonlite))
schema <- fromJSON(file.path("data", "schema.json"), simplifyVector = FALSE)

frame <- function(name) {
  d <- read.csv(file.path("data", paste0(name, ".csv")), colClasses = "character")
  for (column in names(d)) {
    kind <- schema[[name]][[column]]
    d[[column]] <- if (kind$type == "factor") factor(d[[column]], levels = unlist(kind$levels)) else
      as.numeric(d[[column]])
  }
  d
}

versions <- function(...) {
  c(list(R = as.character(getRversion())),
    lapply(setNames(c(...), c(...)), function(p) as.character(packageVersion(p))))
}

save_json <- function(x, path) write(toJSON(x, auto_unbox = TRUE, digits = I(15), null = "null",
                                            na = "null", pretty = FALSE), path)
