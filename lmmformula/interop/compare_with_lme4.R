# Fits one model by lme4 and writes its numbers; called by compare_with_lme4 with a directory.
if (!requireNamespace("lme4", quietly = TRUE)) quit(status = 3)

dir <- commandArgs(trailingOnly = TRUE)[1]
file <- function(name) file.path(dir, name)
settings <- readLines(file("settings.txt"), encoding = "UTF-8")

read <- function(name) {
  read.csv(file(name), check.names = FALSE, stringsAsFactors = FALSE, na.strings = "",
           encoding = "UTF-8")
}
levels_of <- read.csv(file("levels.csv"), stringsAsFactors = FALSE, colClasses = "character",
                      na.strings = character(0), encoding = "UTF-8")
columns <- names(read.csv(file("data.csv"), check.names = FALSE, nrows = 1, encoding = "UTF-8"))
classes <- ifelse(columns %in% levels_of$column, "character", NA)
d <- read.csv(file("data.csv"), check.names = FALSE, colClasses = classes, encoding = "UTF-8",
              na.strings = character(0))
for (name in unique(levels_of$column)) {
  d[[name]] <- factor(d[[name]], levels = levels_of$level[levels_of$column == name])
}
codings <- Sys.glob(file("coding_*.csv"))
for (path in codings) {
  coding <- read.csv(path, check.names = FALSE, encoding = "UTF-8")
  name <- names(coding)[1]
  contrasts(d[[name]], how.many = ncol(coding) - 1) <- as.matrix(coding[, -1, drop = FALSE])
}

extra <- list()
if (file.exists(file("rows.csv"))) extra <- as.list(read("rows.csv"))
quiet <- c("check.nobs.vs.rankZ", "check.nobs.vs.nlev", "check.nlev.gtreq.5", "check.nlev.gtr.1",
           "check.nobs.vs.nRE", "check.scaleX")
control <- do.call(lme4::lmerControl, c(
  list(optimizer = "nloptwrap",
       optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-12, xtol_rel = 0, ftol_rel = 0,
                      maxeval = 100000)),
  setNames(rep(list("ignore"), length(quiet)), quiet)))

said <- character(0)
keep <- function(condition, restart) {
  said <<- c(said, gsub("[\r\n\t]+", " ", conditionMessage(condition)))
  invokeRestart(restart)
}
fit <- withCallingHandlers(
  do.call(lme4::lmer, c(
    list(as.formula(settings[1]), data = d, REML = settings[2] == "REML", control = control),
    extra)),
  warning = function(w) keep(w, "muffleWarning"),
  message = function(m) keep(m, "muffleMessage"))

out <- base::file(file("result.tsv"), open = "w", encoding = "UTF-8")
put <- function(kind, name, value) {
  writeLines(sprintf("%s\t%s\t%.17g", kind, name, value), out)
}
beta <- lme4::fixef(fit)
put("estimate", names(beta), beta)
put("se", names(beta), sqrt(diag(as.matrix(vcov(fit)))))
components <- lme4::VarCorr(fit)
for (i in seq_along(components)) {
  part <- components[[i]]
  put(sprintf("sd %d", i), rownames(part), attr(part, "stddev"))
  cor <- attr(part, "correlation")
  for (a in seq_len(nrow(cor))) {
    for (b in seq_len(a - 1)) {
      put(sprintf("cor %d", i), paste(rownames(cor)[a], rownames(cor)[b], sep = "\037"), cor[a, b])
    }
  }
}
put("sigma", "", sigma(fit))
put("objective", "", -2 * as.numeric(logLik(fit)))
for (text in said) writeLines(paste("said", text, "0", sep = "\t"), out)
writeLines(paste("version", "lme4", as.character(packageVersion("lme4")), sep = "\t"), out)
writeLines(paste("version", "R", paste(R.version$major, R.version$minor, sep = "."), sep = "\t"), out)
close(out)
