@echo off
rem This script submits each certificate request in csr to one AD CS CA. You can run it as often as
rem you like: it never submits a request twice, and it retrieves certificates that were issued later.
rem answers\ID.txt contains the output of certreq for the request ID.
setlocal EnableExtensions EnableDelayedExpansion
pushd "%~dp0" || exit /b 1
if not exist answers mkdir answers
set "TEMPLATE={template}"
set "CA={config}"
if not defined CA if exist answers\ca.txt set /p "CA=" <answers\ca.txt
if defined CA goto begin
echo Which CA issues these certificates? Enter HOST\CA NAME, for example:
echo ca01.contoso.com\Contoso Issuing CA 1
echo In another window, certutil -dump lists the CAs in your forest.
set /p "CA=CA: "
if defined CA set "CA=!CA:"=!"
if not defined CA goto no_ca
if "!CA:\=!"=="!CA!" goto no_ca
:begin
set /a ISSUED=0, WAITING=0, FAILED=0
set "AGAIN="
{calls}
echo.
echo !ISSUED! issued, !WAITING! waiting at the CA, !FAILED! not submitted.
popd
if not "!WAITING! !FAILED!"=="0 0" (
  echo Run submit.cmd again when the CA has issued the certificates. Then send back the folder answers.
  echo To submit a denied request again, delete the file answers\ID.txt first.
  exit /b 1
)
echo Send back the folder answers.
exit /b 0

:no_ca
echo No CA was entered, so nothing was submitted. Enter the CA with a backslash: HOST\CA NAME.
popd
exit /b 1

:request
set "ID=%~1"
set "FILE=answers\%~1"
if exist "!FILE!.cer" goto issued
if not exist "csr\!ID!.csr" goto no_request
if not exist "!FILE!.txt" goto submit
call :number
if defined NUMBER goto fetch
move /y "!FILE!.txt" "!FILE!.failed.txt" >nul
:submit
if exist "!FILE!.failed.txt" call :ask
if exist "!FILE!.failed.txt" if /i not "!AGAIN!"=="y" goto failed
echo Submitting !ID!
certreq -submit -config "!CA!" -attrib "CertificateTemplate:!TEMPLATE!" "csr\!ID!.csr" "!FILE!.cer" "!FILE!.p7b" >"!FILE!.txt" 2>&1 <nul
call :number
if not defined NUMBER if not exist "!FILE!.cer" goto no_number
if exist "!FILE!.failed.txt" del "!FILE!.failed.txt"
>answers\ca.txt echo !CA!
if exist "!FILE!.cer" goto issued
type "!FILE!.txt"
call :waits
goto waiting

:fetch
call :waits
certreq -retrieve -config "!CA!" !NUMBER! "!FILE!.cer" "!FILE!.p7b" <nul
if exist "!FILE!.cer" goto issued
:waiting
set /a WAITING+=1
goto :eof

:waits
echo !ID! is request !NUMBER! at the CA and is not submitted again. To retrieve the certificate:
echo   certreq -retrieve -config "!CA!" !NUMBER! "!FILE!.cer" "!FILE!.p7b"
goto :eof

:issued
set /a ISSUED+=1
goto :eof

:no_request
echo csr\!ID!.csr is missing. Extract the whole archive, then run submit.cmd again.
set /a FAILED+=1
goto :eof

:no_number
echo The CA returned no request number for !ID!. Output of certreq:
type "!FILE!.txt"
move /y "!FILE!.txt" "!FILE!.failed.txt" >nul
:failed
echo !ID! was not submitted. See !FILE!.failed.txt.
set /a FAILED+=1
goto :eof

:ask
if defined AGAIN goto :eof
echo An earlier attempt returned no request number for !ID!. Output of certreq:
type "!FILE!.failed.txt"
echo Look in the CA's console first: Pending Requests, Issued Certificates, Failed Requests.
set /p "AGAIN=Submit such requests again (y/n)? "
if not defined AGAIN set "AGAIN=n"
goto :eof

rem Find the number in a line such as "RequestId: 12"; the words depend on the Windows language.
:number
set "NUMBER="
for /f "usebackq tokens=1,2,* delims=:" %%a in ("!FILE!.txt") do if "%%c"=="" if not "%%b"=="" (
  set "TEXT=%%b"
  call :is_number
)
goto :eof

:is_number
set "TEXT=!TEXT: =!"
if not defined TEXT goto :eof
for /f "delims=0123456789" %%x in ("!TEXT!") do goto :eof
set "NUMBER=!TEXT!"
goto :eof
